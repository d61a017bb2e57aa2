"""DoRA: a kernel's direction is adapted by LoRA, its length is trained."""

import dataclasses

import jax
import jax.numpy as jnp

from jft import tree as trees
from jft.errors import UserError
from jft.tuning.adapters import lora, low_rank
from jft.tuning.adapters.lora import LoRA
from jft.tuning.adapters.sites import Site
from jft.typing import Any, Array, Key, Mapping, Params


@dataclasses.dataclass(frozen=True)
class DoRA(LoRA):
  """m · (W + scale · A B) / |W + scale · A B|, with m, A and B trained.

  The length is that of each output's weights. No gradient flows through it,
  which is the paper's own saving; the side path then needs no kernel of its
  own but the length.

  Source: Liu et al., 2024 (arXiv:2402.09353), section 4.3; peft's
  `DoraLinearLayer` and `DoraConv2dLayer`.
  """

  def init(self, params: Params, key: Key, sites: Mapping[str, Site]) -> Params:
    """Returns a tree that changes nothing yet: each length is the kernel's.

    Raises:
      UserError: as LoRA, and for an embedding.
    """
    tree = super().init(params, key, sites)
    flat = trees.flatten(params)
    made = trees.flatten(tree)
    for module in lora.modules(tree):
      if sites[module].leaf != "kernel":
        raise UserError(
          f"DoRA is for kernels of dense layers and convolutions, {module!r} is"
          " an embedding: leave it out, or use LoRA."
        )
      kernel, b = flat[f"{module}/kernel"], made[f"{module}/lora_b"]
      made[f"{module}/lora_magnitude"] = _length(kernel, b)
    return trees.unflatten(made)

  def joined(
    self, module: Any, own: Params, y: Array, side: Array, dropped: Array | None
  ) -> Array:
    """Returns the layer's output, made as long as the magnitude says."""
    kernel, a, b = (
      jax.lax.stop_gradient(x)
      for x in (
        module.get_variable("params", "kernel"),
        own["lora_a"],
        own["lora_b"],
      )
    )
    scale = self.scale("/".join((*module.path, "kernel")))
    length = _length(kernel + scale * low_rank.product(a, b), b)
    factor = (own["lora_magnitude"] / length).astype(y.dtype)
    if dropped is not None:
      plain = low_rank.straight(module, "kernel", dropped)
    elif module.use_bias:
      plain = y - module.get_variable("params", "bias").astype(y.dtype)
    else:
      plain = y
    return y + (factor - 1) * plain + factor * side

  def merge(self, params: Params, tree: Params) -> Params:
    """Returns the base's kernels, turned and made as long as they shall be."""
    flat, own = trees.flatten(super().merge(params, tree)), lora.modules(tree)
    for module, part in own.items():
      name = f"{module}/kernel"
      factor = part["lora_magnitude"] / _length(flat[name], part["lora_b"])
      flat[name] = (flat[name] * factor).astype(flat[name].dtype)
    return trees.unflatten(flat)


def _length(kernel: Array, b: Array) -> Array:
  """Returns the length of every output's weights, of `b`'s shape but rank."""
  axes = tuple(range(kernel.ndim - (b.ndim - 1)))
  return jnp.sqrt(jnp.sum(jnp.square(kernel), axis=axes))
