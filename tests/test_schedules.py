import math

import pytest

from jft import schedules
from jft.errors import UserError


def values(schedule, steps):
  return [float(schedule(step)) for step in steps]


def test_closed_forms():
  kwargs = {"total_steps": 110, "warmup_steps": 10}
  cosine = schedules.cosine(2.0, final=0.1, **kwargs)
  linear = schedules.linear(2.0, final=0.5, **kwargs)
  square = schedules.polynomial(2.0, power=2.0, **kwargs)
  for step in (10, 35, 60, 110, 200):
    t = min((step - 10) / 100, 1.0)
    curve = 0.5 * (1 + math.cos(math.pi * t))
    assert values(cosine, [step])[0] == pytest.approx(
      2.0 * (0.1 + 0.9 * curve), rel=1e-6
    )
    assert values(linear, [step])[0] == pytest.approx(2.0 - t, rel=1e-6)
    assert values(square, [step])[0] == pytest.approx(
      2.0 * (1 - t) ** 2, rel=1e-5, abs=1e-9
    )


@pytest.mark.parametrize("name", ["constant", "linear", "cosine", "polynomial"])
def test_warmup_rises_from_zero(name):
  kwargs = {} if name == "constant" else {"total_steps": 100}
  schedule = getattr(schedules, name)(1.0, warmup_steps=4, **kwargs)
  assert values(schedule, range(5)) == [0.0, 0.25, 0.5, 0.75, 1.0]


def test_step_drops_after_a_warmup():
  schedule = schedules.step(1.0, boundaries=[10, 20], warmup_steps=5)
  assert values(schedule, [5, 9, 10, 19, 20]) == pytest.approx(
    [1.0, 1.0, 0.1, 0.1, 0.01]
  )


def test_bad_lengths():
  with pytest.raises(UserError, match=r"warmup_steps=100.*total_steps=100"):
    schedules.linear(1.0, total_steps=100, warmup_steps=100)
  with pytest.raises(UserError, match="must increase"):
    schedules.step(1.0, boundaries=[20, 10])
