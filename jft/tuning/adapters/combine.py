"""Several LoRAs of one base made into one."""

import re

import jax.numpy as jnp

from jft import tree as trees
from jft.errors import UserError
from jft.tuning.adapters import lora
from jft.tuning.adapters.lora import LoRA, Rank
from jft.typing import Array, Callable, Params, Sequence

Part = tuple[float, Array, Array]
"""A weight times its scale, and the two halves."""

HOW = ("linear", "cat", "svd")


def combine(
  methods: Sequence[LoRA],
  parts: Sequence[Params],
  weights: Sequence[float],
  how: str,
) -> tuple[LoRA, Params]:
  """Returns the one adapter that stands for several.

  Args:
    methods, parts: the adapters, with their trees.
    weights: of each; may be negative.
    how: "cat" lays the halves side by side: exactly the weighted sum, at the
      sum of the ranks. "svd" is the sum's best approximation of the largest
      rank. "linear" adds the halves, each by the root of its weight: of equal
      ranks, and no sum of the products.

  Raises:
    UserError: for adapters that cannot be combined so.

  Source: peft's `add_weighted_adapter`.
  """
  makers: dict[str, Callable[[list[Part]], tuple[Array, Array]]] = {
    "linear": _linear,
    "cat": _cat,
    "svd": _svd,
  }
  _check(methods, how)
  found: dict[str, list[Part]] = {}
  for method, tree, weight in zip(methods, parts, weights, strict=True):
    for module, own in lora.modules(tree).items():
      part = weight * _scale(method, module), own["lora_a"], own["lora_b"]
      found.setdefault(module, []).append(part)
  made, rules = {}, []
  for module, several in found.items():
    a, b = makers[how](several)
    made[f"{module}/lora_a"], made[f"{module}/lora_b"] = a, b
    rank = a.shape[-1]
    rules.append((rf"{re.escape(module)}/[^/]+", Rank(rank, float(rank))))
  return LoRA(rules), trees.unflatten(made)


def _check(methods: Sequence[LoRA], how: str) -> None:
  if how not in HOW:
    raise UserError(f"how={how!r}: choose one of {', '.join(HOW)}.")
  for method in methods:
    if type(method) is not LoRA:
      raise UserError(
        f"only LoRAs can be combined, got {type(method).__name__}: its product"
        " is not all that it changes."
      )


def _scale(method: LoRA, module: str) -> float:
  for leaf in ("kernel", "embedding"):
    for regex, rank in method.rules:
      if rank is not None and re.fullmatch(regex, f"{module}/{leaf}"):
        return method.factor(rank)
  raise UserError(f"no rule of the adapter covers {module!r}.")


def _linear(several: list[Part]) -> tuple[Array, Array]:
  ranks = {a.shape[-1] for _, a, _ in several}
  if len(ranks) > 1:
    raise UserError(
      f"how='linear' adds adapters of one rank, got {sorted(ranks)}; use 'cat'"
      " or 'svd'."
    )
  halves = [
    (jnp.sign(w) * jnp.sqrt(abs(w)) * a, jnp.sqrt(abs(w)) * b)
    for w, a, b in several
  ]
  return sum(a for a, _ in halves), sum(b for _, b in halves)  # pyright: ignore


def _cat(several: list[Part]) -> tuple[Array, Array]:
  a = jnp.concatenate([w * a for w, a, _ in several], axis=-1)
  return a, jnp.concatenate([b for _, _, b in several])


def _svd(several: list[Part]) -> tuple[Array, Array]:
  a, b = _cat(several)
  rank = max(a.shape[-1] for _, a, _ in several)
  # Of the product of two thin matrices, without ever making it.
  q, r = jnp.linalg.qr(a.reshape(-1, a.shape[-1]))
  u, s, vt = jnp.linalg.svd(r @ b.reshape(len(b), -1), full_matrices=False)
  left = (q @ u[:, :rank]) * s[:rank]
  return left.reshape(*a.shape[:-1], rank), vt[:rank].reshape(
    rank, *b.shape[1:]
  )
