"""Recalibrated statistics against torch.optim.swa_utils.update_bn."""

import flax.linen as nn
import jax
import numpy as np
import pytest
from flax import nnx
from golden import tuning

from jft import tree
from jft.errors import UserError
from jft.models.norm import BatchNorm
from jft.models.own import pure
from jft.tuning import frozen_norm, recalibrate

# What torch 2.13.0 computes; see golden/tuning.py.
UPDATE_BN = {
  "norm0/mean": [
    0.3647228181362152,
    0.44098421931266785,
    3.2228140830993652,
    2.348006248474121,
  ],
  "norm0/var": [
    0.35175734758377075,
    6.687936782836914,
    21.108116149902344,
    10.604280471801758,
  ],
  "norm1/mean": [-1.3468074798583984, 0.7959185838699341],
  "norm1/var": [5.8225626945495605, 1.256589412689209],
}


class Net(nn.Module):
  """As golden/tuning.py's, with dropout, which recalibration does without."""

  momentum: float = 0.9
  dropout: float = 0.5

  @nn.compact
  def __call__(self, x, train=False):
    mode = {"use_running_average": not train, "momentum": self.momentum}
    x = nn.Dense(4, use_bias=False, name="first")(x)
    x = nn.relu(BatchNorm(**mode, name="norm0")(x))
    x = nn.Dropout(self.dropout, deterministic=not train)(x)
    x = nn.Dense(2, use_bias=False, name="second")(x)
    return BatchNorm(**mode, name="norm1")(x)


def linen(**fields):
  module = Net(**fields)
  weights, batches = tuning.arrays()
  variables = dict(module.init(jax.random.key(0), batches[0]))
  for name, weight in weights.items():
    variables["params"][name]["kernel"] = weight
  return pure(module, batches[0]).apply, variables, batches


def rows(batches):
  return [{"image": x} for x in batches]


@pytest.mark.parametrize("momentum", [0.9, 0.1])
def test_the_cumulative_mean_is_torch_s(momentum):
  apply, variables, batches = linen(momentum=momentum)
  # Where they start from leaves no trace.
  variables["batch_stats"] = jax.tree.map(
    lambda x: x * 7 + 3, variables["batch_stats"]
  )
  measure = recalibrate.make_measure(apply)
  found = recalibrate.recalibrate(measure, variables, rows(batches))
  assert found.keys() == variables.keys()
  assert found["params"] is variables["params"]
  got = tree.flatten(found["batch_stats"])
  assert got.keys() == UPDATE_BN.keys()
  for name, want in UPDATE_BN.items():
    np.testing.assert_allclose(got[name], want, rtol=2e-6, err_msg=name)
  assert measure._cache_size() == 1
  # Outside, nothing has changed.
  _, after = apply(
    variables, batches[0], train=True, mutable=["batch_stats"],
    rngs={"dropout": jax.random.key(0)},
  )  # fmt: skip
  old, new = (
    np.asarray(v["batch_stats"]["norm0"]["mean"]) for v in (variables, after)
  )
  batch = (batches[0] @ variables["params"]["first"]["kernel"]).mean(0)
  kept = momentum * old + (1 - momentum) * batch
  np.testing.assert_allclose(new, kept, rtol=1e-5)


class Nnx(nnx.Module):
  def __init__(self, rngs):
    self.norm = nnx.BatchNorm(3, rngs=rngs)

  def __call__(self, x):
    return self.norm(x)


def test_a_model_in_nnx():
  made = pure(Nnx(nnx.Rngs(0)), np.zeros((5, 3), np.float32))
  variables = tree.unflatten(made.draw(jax.random.key(0)))
  _, batches = tuning.arrays()
  measure = recalibrate.make_measure(made.apply)
  found = recalibrate.recalibrate(measure, variables, rows(batches))
  got = found["batch_stats"]["norm"]
  means = np.mean([x.mean(0) for x in batches], 0)
  np.testing.assert_allclose(got["mean"], means, rtol=1e-5)
  np.testing.assert_allclose(
    got["var"], np.mean([x.var(0) for x in batches], 0), rtol=1e-5
  )


def test_nothing_to_recalibrate():
  with pytest.raises(UserError, match="has no BatchNorm statistics"):
    recalibrate.check({"params": {}})
  apply, variables, _ = linen()
  with pytest.raises(UserError, match="no batch"):
    recalibrate.recalibrate(recalibrate.make_measure(apply), variables, [])


def test_measuring_ends_with_its_context():
  with frozen_norm.batch_statistics():
    assert frozen_norm.measuring()
  assert not frozen_norm.measuring()
