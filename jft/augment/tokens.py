"""Words that a text model does not see: dropped, or masked, inside the step.

Tokens are Int["b n"], or Int["b 2 n"] of two texts that are read apart. The
tokens of one word share its fate; special tokens and padding are left alone,
and a text that would lose all of its words keeps them.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from jft import rng
from jft.augment.batch import Augment, per_example
from jft.errors import UserError
from jft.typing import Array, Batch, Bool, Callable, Int, Key


@dataclasses.dataclass(frozen=True, eq=False)
class Vocabulary:
  """What an augmentation must know of each token.

  Attributes:
    special: Bool["vocabulary"], such as [CLS] and padding.
    inner: Bool["vocabulary"], goes on with the word before, such as "##ing".
    mask_id: of the token that stands for any word; None without one.
  """

  special: np.ndarray
  inner: np.ndarray
  mask_id: int | None = None


def word_dropout(p: float, vocabulary: Vocabulary) -> Augment:
  """Hides words from the attention, each with probability p.

  Args:
    p: of a word.
    vocabulary: of the model's tokenizer.

  Source: Iyyer et al., 2015, "Deep Unordered Composition Rivals Syntactic
    Methods for Text Classification" (P15-1162), section 2.2.
  """

  def hide(batch: Batch, chosen: Bool[Array, "*b n"]) -> Batch:
    seen = batch["attention_mask"]
    return {**batch, "attention_mask": jnp.where(chosen, 0, seen)}

  return _on_words(p, vocabulary, hide, "word_dropout")


def token_masking(p: float, vocabulary: Vocabulary) -> Augment:
  """Puts the mask token in the place of words, each with probability p.

  Args:
    p: of a word.
    vocabulary: of the model's tokenizer.

  Raises:
    UserError: if the tokenizer has no mask token.

  Source: Devlin et al., 2019 (arXiv:1810.04805), section 3.1, whole words, all
    of them masked and none to be guessed.
  """
  mask_id = vocabulary.mask_id
  if mask_id is None:
    raise UserError(
      "the model's tokenizer has no mask token; use word dropout instead."
    )

  def put(batch: Batch, chosen: Bool[Array, "*b n"]) -> Batch:
    return {
      **batch,
      "input_ids": jnp.where(chosen, mask_id, batch["input_ids"]),
    }

  return _on_words(p, vocabulary, put, "token_masking")


def choose(
  key: Key, ids: Int[Array, "n"], seen: Int[Array, "n"], p: float, v: Vocabulary
) -> Bool[Array, "n"]:
  """Returns which tokens of a text are of chosen words.

  Args:
    key: of the text.
    ids, seen: its tokens, and which of them are no padding.
    p: of a word.
    v: of the tokenizer.
  """
  plain = (seen > 0) & ~jnp.asarray(v.special)[ids]
  begins = plain & ~jnp.asarray(v.inner)[ids]
  word = jnp.cumsum(begins)
  # One more than there can be words: what comes before the first has number 0.
  chosen = jax.random.bernoulli(key, p, (len(ids) + 1,))[word] & plain
  return chosen & jnp.any(plain & ~chosen)


def _on_words(
  p: float, vocabulary: Vocabulary, change: Callable[..., Batch], name: str
) -> Augment:
  if not 0 <= p < 1:
    raise UserError(f"p={p} is the share of words, in [0, 1).")

  def augment(key: Key, batch: Batch) -> Batch:
    ids, seen = batch["input_ids"], batch["attention_mask"]
    sides = 1 if ids.ndim == 2 else ids.shape[1]
    keys = per_example(rng.substream(key, name), batch)
    keys = jax.vmap(lambda k: jax.random.split(k, sides))(keys).reshape(-1)
    pick = jax.vmap(lambda k, i, s: choose(k, i, s, p, vocabulary))
    flat = (x.reshape(-1, x.shape[-1]) for x in (ids, seen))
    return change(batch, pick(keys, *flat).reshape(ids.shape))

  return augment
