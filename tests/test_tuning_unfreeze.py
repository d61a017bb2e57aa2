import pytest

from jft.errors import UserError
from jft.tuning.unfreeze import Phase, phase_at

A, B = frozenset("a"), frozenset("ab")


def test_phases_by_step():
  phases = [Phase(0, A), Phase(5, B), Phase(7, A)]
  assert [phase_at(phases, s) for s in range(9)] == [0] * 5 + [1] * 2 + [2] * 2


@pytest.mark.parametrize("starts", [[], [1], [0, 5, 5], [0, 7, 5]])
def test_phases_out_of_order(starts):
  with pytest.raises(UserError, match="must start at step 0"):
    phase_at([Phase(s, A) for s in starts], 0)
