import functools
import math

import pytest

from jft.stopping import Best, update


def after(values, mode):
  return functools.reduce(
    lambda best, row: update(best, row[1], 10 * row[0], mode),
    enumerate(values, 1),
    Best(),
  )


@pytest.mark.parametrize(
  ("values", "mode", "best"),
  [
    ([], "max", Best(None, 0, 0)),
    ([0.5, 0.7, 0.6], "max", Best(0.7, 20, 1)),
    ([0.5, 0.7, 0.6], "min", Best(0.5, 10, 2)),
    ([0.7, 0.7, 0.7], "max", Best(0.7, 10, 2)),  # a tie is no improvement
    ([math.nan, -1.0], "max", Best(-1.0, 20, 0)),
    ([0.7, math.inf, math.nan], "max", Best(0.7, 10, 2)),
    ([0.7, -math.inf], "min", Best(0.7, 10, 1)),
    ([math.nan, math.nan], "max", Best(None, 0, 2)),
  ],
)
def test_the_best_and_how_long_ago(values, mode, best):
  assert after(values, mode) == best
