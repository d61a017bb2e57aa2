import flax.linen as nn
import jax
import numpy as np
import pytest

from jft.tuning import frozen_norm

X = np.random.default_rng(0).normal(3.0, 2.0, (8, 4)).astype(np.float32)


class ByField(nn.Module):
  @nn.compact
  def __call__(self, x, train):
    x = nn.BatchNorm(use_running_average=not train, name="a")(x)
    return nn.BatchNorm(use_running_average=not train, name="b")(x)


class ByCall(nn.Module):
  @nn.compact
  def __call__(self, x, train):
    x = nn.BatchNorm(name="a")(x, use_running_average=not train)
    return nn.BatchNorm(name="b")(x, not train)


@pytest.mark.parametrize("module", [ByField(), ByCall()])
def test_frozen_norms_use_and_keep_their_statistics(module):
  variables = module.init(jax.random.key(0), X, False)

  def run(modules):
    with frozen_norm.inference_mode(frozenset(modules)):
      return module.apply(variables, X, True, mutable=["batch_stats"])

  before = variables["batch_stats"]
  out, after = run({"a"})
  after = after["batch_stats"]
  np.testing.assert_array_equal(after["a"]["mean"], before["a"]["mean"])
  assert np.abs(np.asarray(after["b"]["mean"] - before["b"]["mean"])).min() > 0
  # Both frozen: train mode is inference mode.
  out, after = run({"a", "b"})
  np.testing.assert_array_equal(out, module.apply(variables, X, False))
  # Outside the context nothing has changed.
  _, after = module.apply(variables, X, True, mutable=["batch_stats"])
  assert np.abs(np.asarray(after["batch_stats"]["a"]["mean"])).min() > 0
