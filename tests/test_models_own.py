"""A model's pure functions; what they compute is in test_own.py."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jft.errors import UserError
from jft.models import own


class Noisy(nnx.Module):
  """Dropout alone, and one scale."""

  def __init__(self):
    self.scale = nnx.Param(jnp.ones(()))
    self.drop = nnx.Dropout(0.5, rngs=nnx.Rngs(0))

  def __call__(self, x):
    return {"logits": self.drop(x) * self.scale[...]}


def test_nnx_dropout_is_a_function_of_the_key():
  model = Noisy()
  pure = own.pure(model, jnp.ones((2, 50)))
  assert list(pure.shapes) == ["params/scale"]
  variables = {"params": {"scale": jnp.ones(())}}
  x = jnp.ones((2, 50))

  def run(seed, train=True):
    rngs = {"dropout": jax.random.key(seed)}
    out = pure.apply(variables, x, train=train, rngs=rngs, mutable=[])
    return np.asarray(out[0]["logits"])

  assert run(0).tobytes() == run(0).tobytes()
  assert run(0).tobytes() != run(1).tobytes()
  assert set(run(0).ravel()) == {0.0, 2.0}
  assert (run(0, train=False) == 1).all()
  assert not model.drop.deterministic  # The user's model is left as it was.


def test_a_model_without_parameters_is_refused():
  with pytest.raises(UserError, match="has no parameters"):
    own.pure(nnx.Dropout(0.5, rngs=nnx.Rngs(0)), jnp.ones((1, 2)))
