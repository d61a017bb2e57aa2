"""Mixup and CutMix: each example is mixed with another one of its batch.

The partner of row i is row b - 1 - i of what the device has: of the device's
own part of the batch under pmap, of the whole batch under jit. How much is
mixed, and where, depends on the example alone.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jft import rng
from jft.augment import boxes
from jft.augment.batch import Augment, draws
from jft.augment.ops import whole
from jft.augment.tone import sides
from jft.errors import UserError
from jft.typing import Any, Array, Batch, Callable, Float, Int, Key

DRAWS = 4
"""Numbers that decide for one example."""
_POINTS = 4097


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

  draw = make_draw(mixup, cutmix)

  def augment(key: Key, batch: Batch) -> Batch:
    u = draws(rng.substream(key, "mix"), batch, DRAWS)
    share, mask = jax.vmap(draw, (0, None))(u, sides(batch["image"][0]))
    return mixed(batch, share, mask, classes)

  return augment


def mixed(
  batch: Batch,
  share: Float[Array, "b"],
  mask: Float[Array, "b h w"],
  classes: int,
) -> Batch:
  """Returns the batch, each row mixed with the one from the other end.

  Args:
    batch: with labels Int["b"].
    share: of each row's own label.
    mask: of each of its own pixels.
    classes: how many there are.
  """
  # Padding is nobody's partner.
  real = batch["mask"][::-1] > 0
  share = jnp.where(real, share, 1.0)
  mask = jnp.where(real[:, None, None], mask, 1.0)[..., None]
  images = batch["image"]
  image = mask * images + (1 - mask) * images[::-1]
  label = mixed_labels(batch["label"], share, classes)
  return {**batch, "image": image.astype(images.dtype), "label": label}


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


def make_draw(mixup: float, cutmix: float) -> Callable[..., Any]:
  """Returns (u, shape) -> an example's own share of the label and of pixels.

  Args:
    mixup, cutmix: as of `mix`.
  """
  of_mixup, of_cutmix = (quantiles(x) if x else None for x in (mixup, cutmix))

  def draw(
    u: Float[Array, "4"], shape: tuple[int, int]
  ) -> tuple[Float[Array, ""], Float[Array, "h w"]]:
    blended = jnp.ones(()) if of_mixup is None else _at(of_mixup, u[0])
    if of_cutmix is None:
      return blended, jnp.broadcast_to(blended, shape)
    kept = _at(of_cutmix, u[0])
    share, mask = cut(shape, kept, whole(u[1], shape[0]), whole(u[2], shape[1]))
    if of_mixup is None:
      return share, mask
    cuts = u[3] < 0.5
    return jnp.where(cuts, share, blended), jnp.where(cuts, mask, blended)

  return draw


def quantiles(alpha: float) -> Float[np.ndarray, "points"]:
  """Returns Beta(alpha, alpha)'s quantiles, evenly from 0 to 1.

  Tabled on the host: drawing from Beta is a loop of rejections, which a step
  would have to compile.

  >>> [round(float(x), 3) for x in quantiles(1.0)[[0, 1024, 2048, 4096]]]
  [0.0, 0.25, 0.5, 1.0]
  """
  import scipy.special  # half a second, for those that mix alone

  return scipy.special.betaincinv(alpha, alpha, np.linspace(0, 1, _POINTS))


def _at(table: Float[np.ndarray, "points"], u: ArrayLike) -> Array:
  even = jnp.linspace(0, 1, len(table))
  return jnp.interp(u, even, jnp.asarray(table, jnp.float32))
