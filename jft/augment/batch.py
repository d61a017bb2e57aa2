"""Changes of a whole batch, made inside the step: (key, batch) -> batch.

An example's key is made of the step's key and the example's id: what it sees
does not depend on the batch, on the devices or on accumulation. The same
example twice in one batch sees the same twice.
"""

import jax
import jax.numpy as jnp

from jft import rng
from jft.augment.ops import Draws, Op
from jft.augment.tone import Image
from jft.errors import UserError
from jft.typing import Array, Batch, Callable, Float, Key, Sequence

Augment = Callable[[Key, Batch], Batch]


def chain(*augments: Augment) -> Augment:
  """Returns one after another, each with a key of its own."""

  def augment(key: Key, batch: Batch) -> Batch:
    for i, one in enumerate(augments):
      batch = one(jax.random.fold_in(key, i), batch)
    return batch

  return augment


def on_images(
  ops: Sequence[Op],
  *,
  mean: Sequence[float] = (0.0,),
  std: Sequence[float] = (1.0,),
) -> Augment:
  """Returns the ops, in order, over `batch["image"]`, Float["b h w c"].

  Args:
    ops: of pictures, values 0 to 1; see `jft.augment.ops`.
    mean, std: how the batch's images are normalised, a value a channel; what
      the ops see is `x * std + mean`.
  """

  total = sum(op.draws for op in ops)

  def one(u: Draws, image: Image) -> Image:
    used = 0
    for op in ops:
      image = op.apply(u[used : used + op.draws], image)
      used += op.draws
    return image

  def augment(key: Key, batch: Batch) -> Batch:
    if "image" not in batch:
      raise UserError(f"no image in the batch, only {', '.join(batch)}.")
    images = batch["image"]
    centre, scale = (jnp.asarray(x, jnp.float32) for x in (mean, std))
    shown = images.astype(jnp.float32) * scale + centre
    u = draws(rng.substream(key, "images"), batch, total)
    changed = (jax.vmap(one)(u, shown) - centre) / scale
    return {**batch, "image": changed.astype(images.dtype)}

  return augment


def draws(key: Key, batch: Batch, count: int) -> Float[Array, "b count"]:
  """Returns even numbers in [0, 1) for each example."""
  keys = per_example(key, batch)
  return jax.vmap(lambda one: jax.random.uniform(one, (count,)))(keys)


def per_example(key: Key, batch: Batch) -> Key:
  """Returns the key of each example, by its id."""
  return jax.vmap(jax.random.fold_in, (None, 0))(key, batch["id"])
