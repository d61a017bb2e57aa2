import jax
import numpy as np

import small
from jft import losses, r_drop, tasks

NET = small.net(dropout=0.5)
TASK = tasks.classification(label_smoothing=0.1)


def passed(train=True):
  options = {}
  if train:
    options = {
      "rngs": {"dropout": jax.random.key(0)},
      "mutable": ["batch_stats"],
    }
  made = r_drop.twice(NET.apply)(
    NET.variables, small.batch()["image"], train=train, **options
  )
  return made[0] if train else made


def test_both_passes_drop_other_units():
  outputs = passed()
  assert outputs["logits"].shape == outputs[r_drop.AGAIN].shape == (16, 3)
  apart = np.abs(outputs["logits"] - outputs[r_drop.AGAIN]).max(-1)
  assert (apart > 1e-3).sum() > 12


def test_the_loss_of_the_paper():
  outputs, batch = passed(), small.batch()
  one, two = outputs["logits"], outputs[r_drop.AGAIN]
  means = [
    losses.softmax_cross_entropy(x, batch["label"], smoothing=0.1)
    for x in (one, two)
  ]
  want = 0.5 * sum(means) + 3.0 * losses.symmetric_kl(one, two)
  got = r_drop.regularized(TASK, 3.0).minimised(outputs, batch)
  np.testing.assert_allclose(got, want, rtol=1e-6)


def test_evaluation_passes_once():
  outputs = passed(train=False)
  assert r_drop.AGAIN not in outputs
  want = NET.apply(NET.variables, small.batch()["image"])["logits"]
  np.testing.assert_array_equal(outputs["logits"], want)
