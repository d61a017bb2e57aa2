"""Losses of vectors: what belongs together near, everything else away.

Vectors are compared with those of the other examples of a batch. `axis_name`
makes that the batch of all devices.
"""

import jax
import jax.numpy as jnp

from jft.typing import Array, Bool, Float, UInt32

_LEAST = 1e-8
_EPS = 1e-6  # PyTorch's, added to each difference before the distance.


def cosines(x: Float[Array, "b d"], y: Float[Array, "c d"]) -> Array:
  """Returns the cosine of every x with every y, Float["b c"].

  >>> cosines(jnp.array([[3.0, 0.0]]), jnp.array([[0.0, 2.0], [1.0, 0.0]]))
  Array([[0., 1.]], dtype=float32)
  """
  return unit(x) @ unit(y).T


def multiple_negatives_ranking(
  query: Float[Array, "b d"],
  passage: Float[Array, "b d"],
  *,
  negative: Float[Array, "b d"] | None = None,
  mask: Float[Array, "b"] | None = None,
  texts: UInt32[Array, "b s 2"] | None = None,
  temperature: float = 0.05,
  symmetric: bool = False,
  axis_name: str | None = None,
) -> Float[Array, "b"]:
  """Cross-entropy of finding a query's passage among all of the batch.

  This is InfoNCE over cosines divided by a temperature.

  Args:
    query: a vector of each example.
    passage: the vector that belongs to it; those of the others do not.
    negative: vectors that belong to none of the batch's queries.
    mask: 0 on padding, which is no one's passage.
    texts: equal for equal texts, of queries, passages and negatives: a passage
      that is there twice, or belongs to the same query elsewhere, is no
      negative. None: all differ.
    temperature: its inverse is sentence-transformers' `scale`.
    symmetric: the mean with finding a passage's query among all queries.
    axis_name: of the devices that share a batch.

  Source: Henderson et al., 2017 (arXiv:1705.00652), and Oord et al., 2018
  (arXiv:1807.03748); equals sentence-transformers'
  `MultipleNegativesRankingLoss` and `MultipleNegativesSymmetricRankingLoss`.

  >>> loss = multiple_negatives_ranking(jnp.ones((4, 2)), jnp.ones((4, 2)))
  >>> loss.round(3)  # ln 4: all four look alike.
  Array([1.386, 1.386, 1.386, 1.386], dtype=float32)
  """
  own = jnp.arange(len(query))
  if axis_name is not None:
    own = own + jax.lax.axis_index(axis_name) * len(query)
  mask = jnp.ones(len(query)) if mask is None else mask
  real = _everyone(mask, axis_name) > 0
  passages, allowed = _everyone(passage, axis_name), real
  if negative is not None:
    passages = jnp.concatenate([passages, _everyone(negative, axis_name)])
    allowed = jnp.concatenate([real, real])
  rivals = jnp.broadcast_to(allowed, (len(query), len(passages)))
  askers = rivals[:, : len(real)]
  if texts is not None:
    same_query, same = _same(texts, _everyone(texts, axis_name))
    right = same_query | same[:, : len(real)]
    rivals &= ~same.at[:, : len(real)].set(right)
    askers &= ~right
  loss = _found(query, passages, rivals, own, temperature)
  if not symmetric:
    return loss
  queries = _everyone(query, axis_name)
  return 0.5 * (loss + _found(passage, queries, askers, own, temperature))


def _same(own: Array, everyone: Array) -> tuple[Array, Array]:
  """Returns which queries and which passages, all in a row, equal one's own."""
  passages = jnp.concatenate([*jnp.moveaxis(everyone[:, 1:], 1, 0)])
  return _equal(own[:, 0], everyone[:, 0]), _equal(own[:, 1], passages)


def _equal(x: Array, y: Array) -> Bool[Array, "b c"]:
  return jnp.all(x[:, None] == y[None], axis=-1)


def triplet_margin(
  anchor: Float[Array, "b d"],
  positive: Float[Array, "b d"],
  negative: Float[Array, "b d"],
  *,
  margin: float = 1.0,
) -> Float[Array, "b"]:
  """How much the negative is not farther away than the positive by a margin.

  Args:
    anchor, positive, negative: vectors, compared by their Euclidean distance.
    margin: in that distance.

  Source: Schroff et al., 2015 (arXiv:1503.03832); equals
  `torch.nn.TripletMarginLoss(margin, reduction="none")`.

  >>> x = jnp.zeros((1, 2))
  >>> triplet_margin(x, x, x + 3.0, margin=1.0).tolist()
  [0.0]
  """
  near, far = _distance(anchor, positive), _distance(anchor, negative)
  return jnp.maximum(margin + near - far, 0.0)


def _found(
  query: Array, passages: Array, allowed: Array, own: Array, temperature: float
) -> Array:
  scores = cosines(query, passages) / temperature
  # A padded query keeps its own passage, so that its loss is a number.
  keep = allowed | (jnp.arange(len(passages)) == own[:, None])
  scores = jnp.where(keep, scores, -jnp.inf)
  right = jnp.take_along_axis(scores, own[:, None], axis=-1)[:, 0]
  return jax.nn.logsumexp(scores, axis=-1) - right


def _everyone(x: Array, axis_name: str | None) -> Array:
  """Returns the rows of all devices, in the order of the global batch."""
  if axis_name is None:
    return x
  return jax.lax.all_gather(x, axis_name, tiled=True)


def unit(x: Float[Array, "*s d"]) -> Array:
  """Returns vectors of length 1 in float32; one of zeros stays."""
  x = x.astype(jnp.float32)
  # The root of 0 has no gradient; the least square is added before it.
  return x / jnp.sqrt(jnp.sum(x * x, axis=-1, keepdims=True) + _LEAST**2)


def _distance(x: Array, y: Array) -> Array:
  difference = x.astype(jnp.float32) - y.astype(jnp.float32) + _EPS
  return jnp.sqrt(jnp.sum(difference**2, axis=-1))
