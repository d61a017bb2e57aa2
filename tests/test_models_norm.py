"""BatchNorm: PyTorch's running statistics, over one device or several."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jft.errors import UserError
from jft.models.norm import BatchNorm
from jft.tuning import frozen_norm

X = jnp.array([[1.0, 0.0], [2.0, 0.0], [3.0, 2.0], [4.0, 2.0]])
INITIAL = {
  "params": {"scale": jnp.ones(2), "bias": jnp.zeros(2)},
  "batch_stats": {"mean": jnp.zeros(2), "var": jnp.ones(2)},
}


def update(x, norm=None, **kwargs):
  _, new = (norm or BatchNorm()).apply(
    INITIAL, x, use_running_average=False, mutable="batch_stats", **kwargs
  )
  return new["batch_stats"]


def test_statistics_after_one_update_are_pytorchs():
  # torch.nn.BatchNorm1d(2) on X: momentum 0.1, unbiased variances 5/3, 4/3.
  stats = update(X)
  np.testing.assert_allclose(stats["mean"], [0.25, 0.1], rtol=1e-6)
  np.testing.assert_allclose(
    stats["var"], [0.9 + 0.5 / 3, 0.9 + 0.4 / 3], rtol=1e-6
  )


def test_normalises_by_the_biased_variance():
  y, _ = BatchNorm().apply(
    INITIAL, X, use_running_average=False, mutable="batch_stats"
  )
  np.testing.assert_allclose(y[:, 1], [-1, -1, 1, 1], rtol=1e-4)


def test_names_and_shapes_are_flaxs():
  def shapes(norm):
    return jax.eval_shape(
      lambda: norm.init(jax.random.key(0), X, use_running_average=False)
    )

  assert isinstance(BatchNorm(), nn.BatchNorm)
  assert shapes(BatchNorm()) == shapes(nn.BatchNorm())


def test_axis_name_counts_the_values_of_all_devices():
  mapped = jax.vmap(
    lambda x: update(x, BatchNorm(axis_name="data")), axis_name="data"
  )(X.reshape(2, 2, 2))
  whole = update(X)
  for name in ("mean", "var"):
    np.testing.assert_allclose(mapped[name], [whole[name]] * 2, rtol=1e-6)


def test_masked_values_do_not_count():
  padded = jnp.concatenate([X, 100 * jnp.ones((3, 2))])
  mask = jnp.array([1, 1, 1, 1, 0, 0, 0])[:, None]
  stats = update(padded, mask=mask)
  for name, value in update(X).items():
    np.testing.assert_allclose(stats[name], value, rtol=1e-6)


def test_bfloat16_input_has_float32_statistics():
  # 1 + 1/128 is exact in bfloat16; its sum over 4096 values is not.
  x = jnp.full((4096, 2), 1 + 1 / 128, jnp.bfloat16)
  stats = update(x, BatchNorm(dtype=jnp.bfloat16))
  np.testing.assert_allclose(stats["mean"], 0.1 * (1 + 1 / 128), rtol=1e-6)
  assert stats["var"].dtype == jnp.float32


def test_inference_leaves_statistics_alone():
  y, new = BatchNorm().apply(
    INITIAL, X, use_running_average=True, mutable="batch_stats"
  )
  np.testing.assert_allclose(y, X / np.sqrt(1 + 1e-5), rtol=1e-6)
  jax.tree.map(
    np.testing.assert_array_equal, new["batch_stats"], INITIAL["batch_stats"]
  )


class Wrapped(nn.Module):
  @nn.compact
  def __call__(self, x):
    return BatchNorm(name="norm")(x, use_running_average=False)


def test_a_frozen_norm_stays_as_it_was():
  variables = {kind: {"norm": leaf} for kind, leaf in INITIAL.items()}
  with frozen_norm.inference_mode(frozenset({"norm"})):
    y, new = Wrapped().apply(variables, X, mutable="batch_stats")
  np.testing.assert_allclose(y, X / np.sqrt(1 + 1e-5), rtol=1e-6)
  assert jnp.array_equal(new["batch_stats"]["norm"]["var"], jnp.ones(2))


def test_an_interceptor_sees_one_call():
  seen = []

  def intercept(next_fun, args, kwargs, context):
    seen.append(context.method_name)
    return next_fun(*args, **kwargs)

  with nn.intercept_methods(intercept):
    update(X)
  assert seen.count("__call__") == 1


def test_one_value_a_channel_is_refused():
  with pytest.raises(UserError, match="one value a channel"):
    update(X[:1])
