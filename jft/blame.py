"""Which gradient broke: looked for by the step itself, once a step is bad."""

import jax
import jax.numpy as jnp

from jft import leaves
from jft.typing import Array, Float, Int, Params

NOBODY = -1


def bad_leaf(
  loss: Float[Array, ""],
  grad_norm: Float[Array, ""],
  params: Params,
  grads: Params,
) -> Int[Array, ""]:
  """Returns the index in `names` of the first gradient that is not finite.

  The search is a branch that the device takes for a bad step alone. It reads
  nothing that the update writes over: XLA would copy that in every step.

  Args:
    loss, grad_norm: of the step; both finite: nobody is to blame.
    params: the trainable half, for its names.
    grads: of the leaves that are differentiated.

  Returns:
    The index, or -1.
  """
  by_name = leaves.flatten(grads)
  found = [by_name.get(name) for name in leaves.flatten(params)]

  def search() -> Array:
    bad = jnp.stack(
      [
        jnp.asarray(False) if leaf is None else ~jnp.isfinite(leaf).all()
        for leaf in found
      ]
    )
    return jnp.where(bad.any(), jnp.argmax(bad).astype(jnp.int32), NOBODY)

  fine = jnp.isfinite(loss) & jnp.isfinite(grad_norm)
  return jax.lax.cond(fine, lambda: jnp.int32(NOBODY), search)


def names(params: Params) -> tuple[str, ...]:
  """Returns what the indices of `bad_leaf` mean, in order.

  >>> names({"w": 0.0})
  ('gradient of params/w',)
  """
  return tuple(f"gradient of params/{name}" for name in leaves.flatten(params))
