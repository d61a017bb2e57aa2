"""PiSSA: LoRA that starts with the kernel's own principal part."""

import dataclasses
import math

import jax.numpy as jnp

from jft import tree as trees
from jft.errors import UserError
from jft.tuning.adapters import lora
from jft.tuning.adapters.lora import LoRA, Rank
from jft.tuning.adapters.sites import Site
from jft.typing import Array, Key, Mapping, Params


@dataclasses.dataclass(frozen=True)
class PiSSA(LoRA):
  """LoRA whose product starts as the largest singular values of the kernel.

  What is left of the kernel is the frozen base, so that the network computes
  the same at first, and the principal directions are what is trained.

  Source: Meng et al., 2024 (arXiv:2404.02948); peft's
  `init_lora_weights="pissa"`.
  """

  def init(self, params: Params, key: Key, sites: Mapping[str, Site]) -> Params:
    """Returns the principal parts.

    Raises:
      UserError: as LoRA, and for what is no dense layer.
    """
    tree = super().init(params, key, sites)
    flat, made = trees.flatten(params), {}
    for module, own in lora.modules(tree).items():
      if not sites[module].kind.startswith("Dense"):
        raise UserError(
          f"PiSSA is for dense layers, {module!r} is of {sites[module].kind}:"
          " leave it out of the adapter's rules, or use LoRA."
        )
      name = f"{module}/kernel"
      a, b = _principal(flat[name], own["lora_a"].shape, self.scale(name))
      made[f"{module}/lora_a"], made[f"{module}/lora_b"] = a, b
    return trees.unflatten(made)

  def rebase(self, params: Params, tree: Params) -> Params:
    """Returns what is left of the kernels without their principal parts."""
    flat = trees.flatten(params)
    for name, product in self.products(tree, flat).items():
      flat[name] = (flat[name] - product).astype(flat[name].dtype)
    return trees.unflatten(flat)


def as_lora(method: LoRA, initial: Params, tree: Params) -> tuple[LoRA, Params]:
  """Returns a LoRA, of twice the rank, for the kernels as they were loaded.

  What was trained is the product minus the one that it started as; both stand
  side by side in the new halves.

  Args:
    method: a PiSSA.
    initial: its tree as `init` returned it.
    tree: the same, trained.

  Source: peft's `path_initial_model_for_weight_conversion`.
  """
  alpha = math.sqrt(2) if method.rank_stabilized else 2
  rules = [
    (regex, rank and Rank(2 * rank.rank, alpha * rank.alpha))
    for regex, rank in method.rules
  ]
  before, made = lora.modules(initial), {}
  for module, own in lora.modules(tree).items():
    first = before[module]
    made[f"{module}/lora_a"] = jnp.concatenate(
      [own["lora_a"], first["lora_a"]], axis=-1
    )
    made[f"{module}/lora_b"] = jnp.concatenate(
      [own["lora_b"], -first["lora_b"]]
    )
  plain = LoRA(rules, method.dropout, method.rank_stabilized)
  return plain, trees.unflatten(made)


def _principal(
  kernel: Array, a: tuple[int, ...], scale: float
) -> tuple[Array, Array]:
  inputs, rank = a[:-1], a[-1]
  matrix = jnp.reshape(kernel, (math.prod(inputs), -1)).astype(jnp.float32)
  u, s, vt = jnp.linalg.svd(matrix, full_matrices=False)
  root = jnp.sqrt(s[:rank] / scale)
  return (
    (u[:, :rank] * root).reshape(a),
    (root[:, None] * vt[:rank]).reshape(rank, *kernel.shape[len(inputs) :]),
  )
