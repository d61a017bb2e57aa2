import math

import numpy as np
import pytest

from jft.guard import Guard, judge, level_of

NOISE = np.random.default_rng(0).normal(1.0, 0.1, 400).tolist()


def steps(*losses, grad_norm=1.0):
  return [(i, loss, grad_norm) for i, loss in enumerate(losses, 1)]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_not_finite_is_caught_from_the_first_step(bad):
  incident = judge(Guard(), [], steps(0.5, bad, 0.4)).incident
  assert (incident.step, incident.reason) == (2, "not finite")
  incident = judge(Guard(), [], steps(0.5, grad_norm=bad)).incident
  assert (incident.step, incident.reason) == (1, "not finite")


def test_noise_is_no_spike_and_a_jump_that_lasts_is_one():
  assert judge(Guard(), NOISE[:100], steps(*NOISE[100:])).incident is None
  incident = judge(Guard(), NOISE, steps(1.1, *[8.0] * 5)).incident
  assert (incident.step, incident.reason) == (2, "spike")
  assert incident.median == pytest.approx(1.0, abs=0.05)


def test_a_jump_is_judged_when_it_has_lasted():
  first = judge(Guard(), NOISE, steps(1.1, 8.0, 9.0, 8.0, 9.0))
  assert first.incident is None
  assert first.good == (1.1,)
  assert [odd.step for odd in first.suspects] == [2, 3, 4, 5]
  odd = [(one.step, one.loss, one.grad_norm) for one in first.suspects]
  seen = [*NOISE, *first.good]
  assert judge(Guard(), seen, [*odd, (6, 7.0, 1.0)]).incident.step == 2
  # It was odd batches, and they belong to what the run's losses are like.
  back = judge(Guard(), seen, [*odd, (6, 1.0, 1.0)])
  assert back.incident is None
  assert not back.suspects
  assert back.good == (8.0, 9.0, 8.0, 9.0, 1.0)


def test_a_heavy_tail_is_no_divergence():
  # A ranking of pairs that the model knows but for a hard one now and then
  # stopped a run as diverged four times.
  rng = np.random.default_rng(0)
  for _ in range(50):
    losses = np.where(rng.random(300) < 0.15, rng.random(300), 1e-3)
    said = judge(Guard(), [], steps(*losses.tolist()))
    assert said.incident is None


def test_a_flat_loss_does_not_trip_over_small_noise():
  assert judge(Guard(), [1e-3] * 50, steps(*[1.9e-3] * 9)).incident is None


def test_few_losses_are_no_history():
  assert judge(Guard(), NOISE[:19], steps(100.0)).suspects == ()


def test_what_is_learnt_by_heart_has_no_spikes():
  # Such losses stopped a run on 200 digits as diverged.
  begun = np.linspace(2.9, 0.4, 40).tolist()
  learnt = [2e-5, 1e-5, 3e-5] * 30
  guard = Guard(lasting=1)
  late = steps(1e-5, 5e-4, 0.6, 1e-5)  # 0.6: one example of eight at 5
  assert judge(guard, [*begun, *learnt], late).incident is None
  level = level_of(guard, begun)
  assert judge(guard, learnt, late, level).incident is None
  # Where training began there the same rise is a spike, as is one to 2.
  assert judge(guard, learnt, late).incident.step == 2
  assert judge(guard, learnt, steps(1e-5, 2.0), level).incident.step == 2
