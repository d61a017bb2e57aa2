"""Rotary position embeddings, and the ways to stretch them over longer texts.

The halves of a head's channels are rotated against each other, as transformers
has it; where a file pairs neighbours instead, its name table moves the rows.
"""

import dataclasses
import math
import reprlib
from typing import Any, Literal

import jax.numpy as jnp
import numpy as np

from jft.errors import UserError
from jft.models.text_config import check_known
from jft.typing import Array, Float, Int

KINDS = ("default", "linear", "dynamic", "llama3", "yarn")


@dataclasses.dataclass(frozen=True)
class Rope:
  """How positions turn into angles.

  Attributes:
    theta: the base; the slowest angle has a wavelength of about 2 pi theta.
    kind: "linear" divides all angles by `factor`; "llama3" only those whose
      wavelength is long, with a ramp between; "yarn" likewise by the number of
      rotations, and scales the result; "dynamic" is the default up to
      `original_tokens`, and jft reads no longer text with it.
    factor: how many times longer the texts are than those of the pretraining.
    original_tokens: of the texts of the pretraining.
    low_freq_factor, high_freq_factor: llama3: a wavelength is long over
      `original_tokens / low`, and short under `original_tokens / high`.
    beta_fast, beta_slow: yarn: rotations over `original_tokens` from where
      angles stay, and up to where they are divided whole.
    truncate: yarn: whether the ramp begins and ends at whole channels.
    scale: of the rotated queries and keys; None is yarn's own, else 1.

  Raises:
    UserError: for a value that no such embedding can have.

  Source: Su et al., arXiv:2104.09864; Peng et al., arXiv:2309.00071;
    transformers.modeling_rope_utils.
  """

  theta: float = 10000.0
  kind: Literal["default", "linear", "dynamic", "llama3", "yarn"] = "default"
  factor: float = 1.0
  original_tokens: int = 0
  low_freq_factor: float = 1.0
  high_freq_factor: float = 4.0
  beta_fast: float = 32.0
  beta_slow: float = 1.0
  truncate: bool = True
  scale: float | None = None

  def __post_init__(self):
    check_known("rope kind", self.kind, KINDS)
    for name in ("theta", "factor", "high_freq_factor", "beta_fast"):
      self._check(name, getattr(self, name), 0)
    for name in ("low_freq_factor", "beta_slow"):
      self._check(name, getattr(self, name), 0)
    if self.theta <= 1:
      raise UserError(f"rope theta must be above 1, got {self.theta}.")
    if self.scale is not None:
      self._check("scale", self.scale, 0)
    if type(self.truncate) is not bool:
      raise UserError(f"rope truncate must be a bool, got {self.truncate!r}.")
    least = 1 if self.kind in ("dynamic", "llama3", "yarn") else 0
    if type(self.original_tokens) is not int or self.original_tokens < least:
      raise UserError(
        f"rope original_tokens must be an integer of at least {least}, got"
        f" {reprlib.repr(self.original_tokens)}."
      )
    if self.kind == "llama3" and self.low_freq_factor >= self.high_freq_factor:
      raise UserError(
        f"rope low_freq_factor {self.low_freq_factor} must be below"
        f" high_freq_factor {self.high_freq_factor}."
      )

  def _check(self, name: str, value: Any, above: float) -> None:
    number = type(value) in (int, float) and math.isfinite(value)
    if not number or value <= above:
      raise UserError(
        f"rope {name} must be a number above {above}, got"
        f" {reprlib.repr(value)}."
      )


def tables(
  rope: Rope, positions: Int[Array, "b n"], head_dim: int
) -> tuple[Float[Array, "b n 1 half"], Float[Array, "b n 1 half"]]:
  """Returns cosines and sines of all angles, float32.

  Args:
    rope: how positions turn into angles.
    positions: of the tokens.
    head_dim: channels of a head, twice as many as angles.

  >>> cos, sin = tables(Rope(), jnp.array([[0, 1]]), 2)
  >>> [f"{x:.2f}" for x in (*cos.ravel(), *sin.ravel())]
  ['1.00', '0.54', '0.00', '0.84']
  """
  angles = positions[..., None, None].astype(jnp.float32) * frequencies(
    rope, head_dim
  )
  scale = _yarn_scale(rope) if rope.kind == "yarn" else rope.scale or 1.0
  return jnp.cos(angles) * scale, jnp.sin(angles) * scale


def rotate(
  x: Float[Array, "b n h d"],
  cos: Float[Array, "b n 1 half"],
  sin: Float[Array, "b n 1 half"],
) -> Float[Array, "b n h d"]:
  """Returns queries or keys, each channel pair (i, i + d/2) rotated.

  Computed in float32, returned in the dtype of `x`.

  >>> x, one = jnp.ones((1, 1, 1, 2)), jnp.ones((1, 1, 1, 1))
  >>> print(rotate(x, 0 * one, one).ravel())
  [-1.  1.]
  """
  first, second = jnp.split(x, 2, axis=-1)
  turned = (first * cos - second * sin, second * cos + first * sin)
  return jnp.concatenate(turned, axis=-1).astype(x.dtype)


def frequencies(rope: Rope, head_dim: int) -> Float[np.ndarray, "half"]:
  """Returns the angle that each pair of channels turns by a token, float32.

  Args:
    rope: how positions turn into angles.
    head_dim: channels of a head.
  """
  steps = np.arange(0, head_dim, 2, dtype=np.float32) / np.float32(head_dim)
  # float32 from the first operation on, as the reference: over thousands of
  # positions the last digit of a frequency shows in the angle.
  plain = np.float32(1) / np.float32(rope.theta) ** steps
  factor = np.float32(rope.factor)
  if rope.kind == "linear":
    return plain / factor
  if rope.kind == "llama3":
    return _llama3(rope, plain)
  if rope.kind == "yarn":
    kept = 1 - _ramp(rope, head_dim)
    return plain / factor * (1 - kept) + plain * kept
  return plain


def _llama3(
  rope: Rope, plain: Float[np.ndarray, "half"]
) -> Float[np.ndarray, "half"]:
  low, high = rope.low_freq_factor, rope.high_freq_factor
  wavelengths = 2 * math.pi / plain
  mix = (rope.original_tokens / wavelengths - low) / (high - low)
  mix = np.clip(mix, 0, 1).astype(np.float32)
  return (1 - mix) * plain / np.float32(rope.factor) + mix * plain


def _ramp(rope: Rope, head_dim: int) -> Float[np.ndarray, "half"]:
  """0 for pairs that turn often, 1 for those that never turn whole."""

  def channel(rotations: float) -> float:
    turns = rope.original_tokens / (rotations * 2 * math.pi)
    return head_dim * math.log(turns) / (2 * math.log(rope.theta))

  first, last = channel(rope.beta_fast), channel(rope.beta_slow)
  if rope.truncate:
    first, last = math.floor(first), math.ceil(last)
  first, last = max(first, 0), min(last, head_dim - 1)
  if first == last:
    last += 0.001
  pairs = np.arange(head_dim // 2, dtype=np.float32)
  return np.clip((pairs - first) / (last - first), 0, 1).astype(np.float32)


def _yarn_scale(rope: Rope) -> float:
  if rope.scale is not None:
    return rope.scale
  return 0.1 * math.log(rope.factor) + 1 if rope.factor > 1 else 1.0
