"""Who is to blame for a step that is not finite."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jft import blame

PARAMS = {"a": jnp.ones(2), "b": jnp.ones(2)}
NAN = jnp.array([1.0, jnp.nan])


def find(loss=1.0, norm=1.0, params=PARAMS, grads=PARAMS):
  index = jax.jit(blame.bad_leaf)(
    jnp.float32(loss), jnp.float32(norm), params, grads
  )
  return (*blame.names(params), "nobody")[int(index)]


def test_a_good_step_has_nobody_to_blame():
  assert find() == "nobody"


def test_a_good_step_is_not_searched():
  assert find(grads={**PARAMS, "a": NAN}) == "nobody"


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_loss_alone(bad):
  assert find(loss=bad) == "nobody"


def test_the_first_in_the_order_of_names():
  assert find(loss=jnp.nan, grads={"a": NAN, "b": NAN}) == (
    "gradient of params/a"
  )


def test_leaves_that_are_held_have_no_gradient():
  assert find(norm=jnp.nan, grads={"b": NAN}) == "gradient of params/b"


def test_the_search_costs_a_good_step_no_copy():
  """XLA copies what is donated if a branch may read it after the update."""

  def step(params, grads, *, search):
    loss = norm = grads["a"].sum()
    blamed = blame.bad_leaf(loss, norm, params, grads) if search else 0
    moved = jax.tree.map(lambda p, g: p - 0.1 * g, params, grads)
    return moved, blamed

  copies = []
  for search in (False, True):
    run = jax.jit(step, donate_argnums=0, static_argnames="search")
    text = run.lower(PARAMS, PARAMS, search=search).compile().as_text()
    copies.append(len(re.findall(r"= f32\[2\]\S* copy\(", text)))
  assert copies[0] == copies[1]
