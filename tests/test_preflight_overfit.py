import math
import types

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jft.preflight import overfit
from jft.schedules import cosine


@pytest.mark.parametrize(
  ("losses", "accuracies", "level"),
  [
    ([2.0, 1.0, 0.1], [0.1, 0.5, 0.9], "ok"),
    ([2.0, 0.9, 0.8], [0.1, 1.0, 1.0], "ok"),
    ([2.0, 1.9, 1.8], [0.1, 1.0, 1.0], "warning"),  # Right by chance.
    ([2.0, 0.9, 0.8], [0.1, 0.9, 1.0], "warning"),
    ([2.0, math.nan], [0.1, 0.0], "error"),
    ([2.0, math.inf], [0.1, 0.0], "error"),
  ],
)
def test_judge(losses, accuracies, level):
  found = overfit.judge(losses, accuracies, probe=False)
  assert found.level == level
  assert all(map(math.isfinite, found.details["losses"]))


def test_label_smoothing_keeps_the_loss_up():
  learnt = [1.8, 0.95, 0.94], [0.3, 1.0, 1.0]
  assert overfit.judge(*learnt, probe=False).level == "warning"
  assert overfit.judge(*learnt, 0.867, probe=False).level == "ok"


def test_a_linear_probe_is_excused():
  found = overfit.judge([2.0, 1.9], [0.1, 0.2], probe=True)
  assert found.level == "warning"
  assert "a linear probe need not be able to" in found.message


@pytest.mark.parametrize("steps", [5, 60])
def test_every_update_has_the_peak_rate(steps):
  rate = cosine(0.2, total_steps=40, warmup_steps=10)
  run = types.SimpleNamespace(
    tuning=types.SimpleNamespace(rates={"backbone": rate, "head": rate}),
    total_steps=40,
  )
  scales = overfit._to_peak(run, steps)
  got = [x * float(rate(min(s, 39))) for s, x in enumerate(scales)]
  assert got[0] == 0.0  # 0 times anything.
  np.testing.assert_allclose(got[1:], 0.2, rtol=1e-5)


def test_a_constant_rate():
  run = types.SimpleNamespace(
    tuning=types.SimpleNamespace(rates={"x": optax.constant_schedule(0.1)}),
    total_steps=3,
  )
  assert overfit._to_peak(run, 4) == [1.0] * 4
  assert jnp.isfinite(jnp.array(overfit._to_peak(run, 4))).all()
