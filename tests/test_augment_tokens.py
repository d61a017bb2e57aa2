"""Words that are not seen: whole ones, never special tokens or padding."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jft import augment
from jft.augment import tokens
from jft.errors import UserError

# 0 [PAD], 1 [CLS], 2 [SEP], 3 [MASK], 4 to 7 begin words, 8 and 9 go on.
KNOWN = augment.Vocabulary(
  special=np.array([1, 1, 1, 1, 0, 0, 0, 0, 0, 0], bool),
  inner=np.array([0, 0, 0, 0, 0, 0, 0, 0, 1, 1], bool),
  mask_id=3,
)
TEXT = jnp.array([1, 4, 8, 9, 5, 6, 8, 7, 2, 0, 0])
SEEN = jnp.array([1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0])
WORDS = ([1, 2, 3], [4], [5, 6], [7])
N = 3000


def chosen(p):
  keys = jax.random.split(jax.random.key(0), N)
  pick = jax.vmap(lambda key: tokens.choose(key, TEXT, SEEN, p, KNOWN))
  return np.asarray(jax.jit(pick)(keys))


def test_words_are_chosen_whole_and_as_often_as_told():
  got = chosen(0.2)
  assert not got[:, [0, 8, 9, 10]].any()
  # Without the texts that would lose all of their words.
  p = 0.2 - 0.2**4
  for word in WORDS:
    assert (got[:, word] == got[:, word[:1]]).all()
    assert abs(got[:, word[0]].mean() - p) < 4 * np.sqrt(0.16 / N)
  first, last = got[:, 1], got[:, 7]
  both = (first & last).mean()
  assert abs(both - (0.04 - 0.2**4)) < 4 * np.sqrt(0.04 / N)


def test_a_text_never_loses_all_of_its_words():
  got = chosen(0.9)[:, 1:8]
  assert not got.all(1).any()
  assert (got.sum(1) == 0).mean() > 0.5


def batch():
  return {
    "input_ids": jnp.stack([TEXT, TEXT]),
    "attention_mask": jnp.stack([SEEN, SEEN]),
    "id": jnp.array([3, 4]),
    "label": jnp.array([0, 1]),
  }


def test_dropped_words_are_hidden_and_masked_ones_replaced():
  key, given = jax.random.key(1), batch()
  hidden = augment.word_dropout(0.5, KNOWN)(key, given)
  np.testing.assert_array_equal(hidden["input_ids"], given["input_ids"])
  gone = np.asarray(hidden["attention_mask"]) < given["attention_mask"]
  assert gone.any()
  masked = augment.token_masking(0.5, KNOWN)(key, given)
  np.testing.assert_array_equal(
    masked["attention_mask"], given["attention_mask"]
  )
  changed = masked["input_ids"] != given["input_ids"]
  assert changed.any()
  assert set(np.asarray(masked["input_ids"])[changed].tolist()) == {3}


def test_a_text_sees_the_same_in_any_row_and_pairs_are_told_apart():
  key, given = jax.random.key(1), batch()
  change = augment.token_masking(0.5, KNOWN)
  whole = change(key, given)["input_ids"]
  turned = change(key, {name: x[::-1] for name, x in given.items()})
  np.testing.assert_array_equal(turned["input_ids"], whole[::-1])
  apart = {
    **given,
    "input_ids": jnp.stack([given["input_ids"]] * 2, 1),
    "attention_mask": jnp.stack([given["attention_mask"]] * 2, 1),
  }
  two = np.asarray(change(key, apart)["input_ids"])
  assert two.shape == (2, 2, 11)
  assert (two[:, 0] != two[:, 1]).any()


def test_shares_and_masks_are_checked():
  with pytest.raises(UserError, match="p=1 is the share"):
    augment.word_dropout(1, KNOWN)
  without = augment.Vocabulary(KNOWN.special, KNOWN.inner)
  with pytest.raises(UserError, match="no mask token"):
    augment.token_masking(0.1, without)
