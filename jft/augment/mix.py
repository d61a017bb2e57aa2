"""Mixup and CutMix: each example is mixed with another one of its batch.

The partner of row i is row b - 1 - i of what the device has: of the device's
own part of the batch under pmap, of the whole batch under jit. How much is
mixed, and where, depends on the example alone.
"""

import jax
import jax.numpy as jnp

from jft import rng
from jft.augment import boxes
from jft.augment.batch import Augment, per_example
from jft.errors import UserError
from jft.typing import Array, ArrayLike, Batch, Float, Int, Key


def mix(*, mixup: float = 0.0, cutmix: float = 0.0, classes: int) -> Augment:
  """Returns augment(key, batch) -> batch with labels Float["b k"].

  With both, half of the examples are mixed in each way.

  Args:
    mixup: alpha of Beta(alpha, alpha), from which an example's own share of
      all its pixels is drawn; 0: no mixup.
    cutmix: of the same, for the share of its area that it keeps; the rest is a
      rectangle of its partner. 0: no CutMix.
    classes: k, how many there are.

  Source: Zhang et al., 2018 (arXiv:1710.09412); Yun et al., 2019
    (arXiv:1905.04899); timm.data.Mixup(mode="elem", label_smoothing=0), which
    draws from NumPy.
  """
  if min(mixup, cutmix) < 0 or not max(mixup, cutmix):
    raise UserError(
      f"mixup={mixup} and cutmix={cutmix}: one must be above 0, none below."
    )

  def augment(key: Key, batch: Batch) -> Batch:
    images, labels = batch["image"], batch["label"]
    keys = per_example(key, batch)
    real = batch["mask"][::-1] > 0
    shares, masks = jax.vmap(
      lambda k: _draw(k, images.shape[1:3], mixup, cutmix)
    )(keys)
    # Padding is nobody's partner.
    shares = jnp.where(real, shares, 1.0)
    masks = jnp.where(real[:, None, None], masks, 1.0)[..., None]
    image = masks * images + (1 - masks) * images[::-1]
    label = mixed_labels(labels, shares, classes)
    return {**batch, "image": image.astype(images.dtype), "label": label}

  return augment


def mixed_labels(
  label: Int[Array, "b"], share: Float[Array, "b"], classes: int
) -> Float[Array, "b k"]:
  """Returns each example's shares of the classes.

  >>> mixed_labels(jnp.array([0, 1]), jnp.array([0.75, 1.0]), 2).tolist()
  [[0.75, 0.25], [0.0, 1.0]]
  """
  own = jax.nn.one_hot(label, classes)
  share = share[:, None]
  return share * own + (1 - share) * own[::-1]


def cut(
  shape: tuple[int, int], share: ArrayLike, row: ArrayLike, column: ArrayLike
) -> tuple[Float[Array, ""], Float[Array, "h w"]]:
  """Returns what is left outside a rectangle: its share, and where it is 1.

  Args:
    shape: height and width of the picture.
    share: of its area to keep, before the rectangle is cut at the border.
    row, column: of the rectangle's middle.
  """
  side = jnp.sqrt(1 - jnp.asarray(share, jnp.float32))
  edges = []
  for size, middle in zip(shape, (row, column), strict=True):
    length = jnp.trunc(size * side).astype(jnp.int32)
    start = jnp.clip(middle - length // 2, 0, size)
    edges.append((start, jnp.clip(middle + (length + 1) // 2, 0, size) - start))
  (top, height), (left, width) = edges
  kept = ~boxes.mask(shape, top, left, height, width)
  return kept.mean(), kept.astype(jnp.float32)


def _draw(
  key: Key, shape: tuple[int, int], mixup: float, cutmix: float
) -> tuple[Float[Array, ""], Float[Array, "h w"]]:
  """Returns an example's own share of the label, and of each pixel."""
  which, a, b, y, x = jax.random.split(rng.substream(key, "mix"), 5)
  blended = jax.random.beta(a, mixup, mixup) if mixup else 1.0
  if not cutmix:
    return jnp.asarray(blended), jnp.full(shape, blended)
  kept = jax.random.beta(b, cutmix, cutmix)
  row = jax.random.randint(y, (), 0, shape[0])
  column = jax.random.randint(x, (), 0, shape[1])
  share, mask = cut(shape, kept, row, column)
  if not mixup:
    return share, mask
  cuts = jax.random.bernoulli(which)
  return jnp.where(cuts, share, blended), jnp.where(cuts, mask, blended)
