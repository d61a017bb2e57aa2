"""Who is to blame for a step that is not finite."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jft import blame

PARAMS = {"a": jnp.ones(2), "b": jnp.ones(2)}
STATE = {"batch_stats": {"mean": jnp.ones(2)}}
NAN = jnp.array([1.0, jnp.nan])


def find(loss=1.0, norm=1.0, params=PARAMS, state=STATE, grads=PARAMS):
  index = jax.jit(blame.bad_leaf)(
    jnp.float32(loss), jnp.float32(norm), params, state, grads
  )
  return (*blame.names(params, state), "nobody")[int(index)]


def test_a_good_step_has_nobody_to_blame():
  assert find() == "nobody"


def test_a_good_step_is_not_searched():
  assert find(params={**PARAMS, "a": NAN}) == "nobody"


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_loss_alone(bad):
  assert find(loss=bad) == "nobody"


def test_what_came_in_broken_goes_before_what_came_out():
  broken = {"loss": jnp.nan, "grads": {"a": NAN, "b": NAN}}
  assert find(**broken) == "gradient of params/a"
  state = {"batch_stats": {"mean": NAN}}
  assert find(**broken, state=state) == "model_state/batch_stats/mean"
  params = {**PARAMS, "b": NAN}
  assert find(**broken, state=state, params=params) == "params/b"


def test_leaves_that_are_held_have_no_gradient():
  assert find(norm=jnp.nan, grads={"b": NAN}) == "gradient of params/b"
