import math

import numpy as np
import pytest

from jft.guard import Guard, first_incident, level_of

NOISE = np.random.default_rng(0).normal(1.0, 0.1, 400).tolist()


def steps(*losses, grad_norm=1.0):
  return [(i, loss, grad_norm) for i, loss in enumerate(losses, 1)]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_not_finite_is_caught_from_the_first_step(bad):
  incident = first_incident(Guard(), [], steps(0.5, bad, 0.4))
  assert (incident.step, incident.reason) == (2, "not finite")
  incident = first_incident(Guard(), [], steps(0.5, grad_norm=bad))
  assert (incident.step, incident.reason) == (1, "not finite")


def test_noise_is_no_spike_and_a_jump_is_one():
  assert first_incident(Guard(), NOISE[:100], steps(*NOISE[100:])) is None
  incident = first_incident(Guard(), NOISE, steps(1.1, 8.0))
  assert (incident.step, incident.reason) == (2, "spike")
  assert incident.median == pytest.approx(1.0, abs=0.05)


def test_a_flat_loss_does_not_trip_over_small_noise():
  assert first_incident(Guard(), [1e-3] * 50, steps(1.9e-3)) is None


def test_few_losses_are_no_history():
  assert first_incident(Guard(), NOISE[:19], steps(100.0)) is None


def test_what_is_learnt_by_heart_has_no_spikes():
  # Such losses stopped a run on 200 digits as diverged.
  begun = np.linspace(2.9, 0.4, 40).tolist()
  learnt = [2e-5, 1e-5, 3e-5] * 30
  late = steps(1e-5, 5e-4, 0.6, 1e-5)  # 0.6: one example of eight at 5
  assert first_incident(Guard(), [*begun, *learnt], late) is None
  level = level_of(Guard(), begun)
  assert first_incident(Guard(), learnt, late, level) is None
  # Where training began there the same rise is a spike, as is one to 2.
  assert first_incident(Guard(), learnt, late).step == 2
  assert first_incident(Guard(), learnt, steps(1e-5, 2.0), level).step == 2
