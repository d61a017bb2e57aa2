"""RandAugment, TrivialAugment and AugMix: one drawn change after another.

Each change is one warp and one change of tone, whichever was drawn: examples
that draw different ones run side by side, and a picture is sampled once.
"""

import dataclasses
import types

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jft.augment import filters, geometry, tone
from jft.augment.ops import Draws, Op, whole
from jft.augment.tone import Image, sides
from jft.errors import UserError
from jft.typing import Array, Callable, Mapping

WARPS = ("shear_x", "shear_y", "translate_x", "translate_y", "rotate")

TONES: Mapping[str, Callable[[Image, ArrayLike], Image]] = (
  types.MappingProxyType(
    {
      "identity": lambda image, x: image,
      "brightness": lambda image, x: tone.brightness(image, 1 + x),
      "color": lambda image, x: tone.saturation(image, 1 + x),
      "contrast": lambda image, x: tone.contrast(image, 1 + x),
      "sharpness": lambda image, x: filters.sharpness(image, 1 + x),
      "posterize": tone.posterize,
      "solarize": lambda image, x: tone.solarize(image, x / 255),
      "autocontrast": lambda image, x: tone.autocontrast(image),
      "equalize": lambda image, x: tone.equalize(image),
    }
  )
)
KINDS = (*WARPS, *TONES)
_UNSIGNED = ("identity", "posterize", "solarize", "autocontrast", "equalize")


@dataclasses.dataclass(frozen=True)
class Space:
  """What may be drawn, and how strong each strength is.

  Attributes:
    kinds: of `KINDS`.
    strengths: Float["kinds bins"].
  """

  kinds: tuple[str, ...]
  strengths: np.ndarray

  def draw(self, u: Draws, bin: ArrayLike) -> tuple[Array, Array]:
    """Returns a kind, as an index in `KINDS`, and its signed amount.

    Args:
      u: two numbers that decide.
      bin: the strength.
    """
    drawn = whole(u[0], len(self.kinds))
    signed = np.array([kind not in _UNSIGNED for kind in self.kinds])
    turned = (u[1] < 0.5) & jnp.asarray(signed)[drawn]
    amount = jnp.asarray(self.strengths, jnp.float32)[drawn, bin]
    index = np.array([KINDS.index(kind) for kind in self.kinds])
    return jnp.asarray(index)[drawn], jnp.where(turned, -amount, amount)


def apply(
  image: Image, kind: ArrayLike, amount: ArrayLike, *, nearest: bool = True
) -> Image:
  """Makes one change.

  Args:
    image: the picture.
    kind: index in `KINDS`; it may be traced.
    amount: shears: the tangent; translations: pixels, cut to whole ones;
      "rotate": degrees, counter-clockwise; "posterize": bits; "solarize": 0 to
      255; the others: what the factor is above 1.
    nearest: how warps sample; see `geometry.warp`.
  """
  height, width = image.shape[:2]
  pixels = jnp.trunc(amount)
  none = geometry.affine((0, 0))
  matrices = [
    geometry.affine((0, 0), shear=(amount, 0.0)),
    geometry.affine((0, 0), shear=(0.0, amount)),
    geometry.affine((0, 0), translate=(pixels, 0.0)),
    geometry.affine((0, 0), translate=(0.0, pixels)),
    geometry.affine((width / 2, height / 2), degrees=-jnp.asarray(amount)),
    none,
  ]
  matrix = jnp.stack(matrices)[jnp.minimum(kind, len(WARPS))]
  moved = geometry.warp(image, matrix, nearest=nearest)
  toned = jnp.maximum(kind - len(WARPS), 0)
  return jax.lax.switch(toned, list(TONES.values()), moved, amount)


def rand_augment(count: int = 2, magnitude: int = 9) -> Op:
  """Makes so many drawn changes of one strength.

  Args:
    count: changes after one another.
    magnitude: strength, 0 to 30.

  Source: Cubuk et al., 2020 (arXiv:1909.13719);
    torchvision.transforms.v2.RandAugment.
  """
  if not 0 <= magnitude < _BINS:
    raise UserError(f"magnitude={magnitude} must be from 0 to {_BINS - 1}.")

  def op(u: Draws, image: Image) -> Image:
    space = rand_space(sides(image))

    def change(image: Image, one: Draws) -> tuple[Image, None]:
      return apply(image, *space.draw(one, magnitude)), None

    return jax.lax.scan(change, image, u.reshape(count, 2))[0]

  return Op(2 * count, op)


def trivial_augment() -> Op:
  """Makes one drawn change of a drawn strength.

  Source: Müller and Hutter, 2021 (arXiv:2103.10158), the wide space;
    torchvision.transforms.v2.TrivialAugmentWide.
  """
  space = trivial_space()

  def op(u: Draws, image: Image) -> Image:
    return apply(image, *space.draw(u[:2], whole(u[2], _BINS)))

  return Op(3, op)


def aug_mix(severity: int = 3, width: int = 3) -> Op:
  """Mixes the picture with chains of one to three drawn changes.

  The weights are even: drawn from Dirichlet(1, ...) as in the paper.

  Args:
    severity: strengths are drawn from so many of ten.
    width: chains.

  Source: Hendrycks et al., 2020 (arXiv:1912.02781), without its
    Jensen-Shannon loss; torchvision.transforms.v2.AugMix.
  """
  each = 1 + 3 * _LONGEST

  def op(u: Draws, image: Image) -> Image:
    space = mix_space(sides(image))
    kept, mixed = dirichlet(u[:2])
    weights = mixed * dirichlet(u[2 : 2 + width])

    def add(out: Image, one: tuple[Array, Draws]) -> tuple[Image, None]:
      weight, chain = one
      return out + weight * _chain(chain, image, space, severity), None

    chains = u[2 + width :].reshape(width, each)
    return jax.lax.scan(add, kept * image, (weights, chains))[0]

  return Op(2 + width + width * each, op)


def dirichlet(u: Draws) -> Draws:
  """Returns numbers that are 1 in all, from Dirichlet(1, ...)."""
  waits = -jnp.log1p(-u)  # Exponential; u may be 0 but not 1.
  return waits / jnp.maximum(waits.sum(), 1e-9)


def _chain(u: Draws, image: Image, space: Space, severity: int) -> Image:
  depth = 1 + whole(u[0], _LONGEST)

  def change(image: Image, one: tuple[ArrayLike, Draws]) -> tuple[Image, None]:
    i, draws = one
    kind, amount = space.draw(draws[:2], whole(draws[2], severity))
    new = apply(image, kind, amount, nearest=False)
    return jnp.where(i < depth, new, image), None

  steps = jnp.arange(_LONGEST), u[1:].reshape(_LONGEST, 3)
  return jax.lax.scan(change, image, steps)[0]


_BINS = 31
_LONGEST = 3


def rand_space(shape: tuple[int, int]) -> Space:
  """Returns RandAugment's changes for a picture of this height and width."""
  most = 150.0 / 331.0
  return _space(
    _BINS, 0.3, (most * shape[1], most * shape[0]), 30.0, 0.9, (8, 4)
  )


def trivial_space() -> Space:
  """Returns TrivialAugment's, wide."""
  return _space(_BINS, 0.99, (32.0, 32.0), 135.0, 0.99, (8, 6))


def mix_space(shape: tuple[int, int]) -> Space:
  """Returns AugMix's, with the changes of colour."""
  most = shape[1] / 3, shape[0] / 3
  return _space(10, 0.3, most, 30.0, 0.9, (4, 4), identity=False)


def _space(
  bins: int,
  shear: float,
  translate: tuple[float, float],
  degrees: float,
  enhance: float,
  bits: tuple[int, int],
  *,
  identity: bool = True,
) -> Space:
  """Strengths from none to the greatest; of bits from the first, less some."""
  ramp = np.linspace(0, 1, bins)
  enhances = ("brightness", "color", "contrast", "sharpness")
  strengths = {
    "shear_x": shear * ramp,
    "shear_y": shear * ramp,
    "translate_x": translate[0] * ramp,
    "translate_y": translate[1] * ramp,
    "rotate": degrees * ramp,
    **dict.fromkeys(enhances, enhance * ramp),
    "posterize": bits[0] - np.round(bits[1] * ramp),
    "solarize": 255 * (1 - ramp),
    "autocontrast": 0 * ramp,
    "equalize": 0 * ramp,
  }
  if identity:
    strengths = {"identity": 0 * ramp, **strengths}
  return Space(tuple(strengths), np.stack([*strengths.values()]))
