"""Weights of several networks, mixed: means, lines between two, greedy soups.

All are functions over trees of one structure, such as a network's variables.
Sums are taken in float32 or better and given back in each leaf's own type.
"""

import dataclasses

import jax
import jax.numpy as jnp

from jft.errors import UserError
from jft.typing import Any, Array, Callable, Iterable, Sequence

Tree = Any


@dataclasses.dataclass(frozen=True)
class Tried:
  """One step of a greedy soup: an ingredient, what it gave, whether it stays.

  Attributes:
    index: of the ingredient.
    score: of the soup with it.
    kept: whether it made the soup no worse.
  """

  index: int
  score: float
  kept: bool


def between(start: Tree, end: Tree, share: float) -> Tree:
  """Returns (1 - share) * start + share * end; the ends are exact.

  Args:
    start, end: trees of one structure.
    share: of the end, usually from 0 to 1.

  Source: Wortsman et al., 2022, "Robust fine-tuning of zero-shot models"
    (WiSE-FT, arXiv:2109.01903).

  >>> float(between(jnp.float32(1.0), jnp.float32(3.0), 0.25))
  1.5
  """

  mixed = jax.tree.map(
    lambda a, b: (1 - share) * a + share * b if _is_mixed(b) else b,
    _exact(start),
    _exact(end),
  )
  return jax.tree.map(lambda a, x: x.astype(a.dtype), end, mixed)


def mean(trees: Iterable[Tree]) -> Tree:
  """Returns the mean of trees, which are taken one after another.

  Of what is counted in whole numbers it is the first's.

  Args:
    trees: at least one, all of one structure.

  Raises:
    UserError: if there is none.

  Source: Wortsman et al., 2022, "Model soups" (arXiv:2203.05482), the uniform
    soup.

  >>> float(mean([jnp.float32(1.0), jnp.float32(2.0), jnp.float32(6.0)]))
  3.0
  """
  first, total, count = None, None, 0
  for count, tree in enumerate(trees, 1):  # noqa: B007
    first = tree if first is None else first
    total = _exact(tree) if total is None else _sum(total, tree)
  if first is None:
    raise UserError("mean of no trees: give at least one.")
  return jax.tree.map(
    lambda a, x: (x / count).astype(a.dtype) if _is_mixed(a) else a,
    first,
    total,
  )


def greedy(
  order: Sequence[int],
  load: Callable[[int], Tree],
  score: Callable[[Tree], float],
  *,
  higher: bool = True,
) -> tuple[Tree, list[Tried]]:
  """Mixes in one ingredient after another; one that makes it worse is left out.

  At any time the soup, an ingredient and the two mixed are in memory.

  Args:
    order: the ingredients' numbers, the best first.
    load: number -> that ingredient's tree.
    score: tree -> how good it is, on validation data.
    higher: whether a higher score is better.

  Returns:
    The soup, and what was tried, in order.

  Source: Wortsman et al., 2022, "Model soups" (arXiv:2203.05482), recipe 1.

  >>> towers = [jnp.float32(3.0), jnp.float32(1.0), jnp.float32(9.0)]
  >>> near = lambda x: -abs(x - 2)
  >>> found, tried = greedy([0, 1, 2], towers.__getitem__, near)
  >>> float(found), [row.kept for row in tried]
  (2.0, [True, True, False])
  """
  sign = 1 if higher else -1
  soup, best, count = None, 0.0, 0
  tried: list[Tried] = []
  for index in order:
    found = load(index)
    mixed = found if soup is None else between(soup, found, 1 / (count + 1))
    value = float(score(mixed))
    kept = soup is None or sign * value >= sign * best
    tried.append(Tried(index, value, kept))
    if kept:
      soup, best, count = mixed, value, count + 1
  if soup is None:
    raise UserError("a soup of nothing: give at least one ingredient.")
  return soup, tried


def _is_mixed(leaf: Array) -> bool:
  return bool(jnp.issubdtype(leaf.dtype, jnp.inexact))


def _exact(tree: Tree) -> Tree:
  return jax.tree.map(
    lambda x: (
      x.astype(jnp.promote_types(x.dtype, jnp.float32)) if _is_mixed(x) else x
    ),
    tree,
  )


def _sum(total: Tree, tree: Tree) -> Tree:
  return jax.tree.map(lambda t, x: t + x if _is_mixed(x) else t, total, tree)
