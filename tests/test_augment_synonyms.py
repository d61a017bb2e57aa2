"""Other words for words: as often as told, and read from a user's file."""

import numpy as np
import pytest

from jft import data
from jft.augment import synonyms
from jft.errors import UserError
from jft.rng import generator

TABLE = synonyms.read(["good\tfine\tgreat", "film\tmovie"])


def test_so_many_of_the_words_that_have_one_are_replaced():
  change = synonyms.replace(TABLE, 0.3)
  text = " ".join(["good", "bad"] * 4000)
  words = change(text, generator(0, "t")).split()
  assert words[1::2] == ["bad"] * 4000
  good = np.array(words[::2])
  assert abs((good != "good").mean() - 0.3) < 4 * np.sqrt(0.21 / 4000)
  others = good[good != "good"]
  assert abs((others == "fine").mean() - 0.5) < 4 * 0.5 / np.sqrt(len(others))


def test_marks_blanks_and_capitals_stay():
  change = synonyms.replace(TABLE, 1.0)
  got = change("Film:  films, (good)!", generator(0, "t"))
  assert got in ("Movie:  films, (fine)!", "Movie:  films, (great)!")


@pytest.mark.parametrize("line", ["good fine", "good\t", "\tfine", "a\tb\t"])
def test_a_line_that_says_nothing_is_named(line):
  with pytest.raises(UserError, match="line 2"):
    synonyms.read(["good\tfine", line])
  with pytest.raises(UserError, match="no word"):
    synonyms.read(["", " "])


# --- in the loader -----------------------------------------------------------


def loader(tokenizer, augment=None, window=1, seed=0, batch_size=4):
  rows = ["a film", "a good film", "good good good", "bad", "film film"]
  source = data.arrays(
    {"text": np.array(rows), "label": np.arange(5) % 2}, label_names=("a", "b")
  )
  return data.batches(
    source, batch_size, tokenizer, seed=seed, augment=augment, window=window
  )


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
  folder = tmp_path_factory.mktemp("tokenizer")
  words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "bad", "fine", "film"]
  words += ["good", "great", "movie", "x"]
  (folder / "vocab.txt").write_text("\n".join(words))
  return data.load_tokenizer(folder, max_length=64)


@pytest.mark.parametrize("window", [1, 50])
def test_texts_change_with_the_epoch_alone(tokenizer, window):
  change = synonyms.replace(TABLE, 0.5)
  seen = {}
  for size, seed in ((4, 0), (2, 0), (4, 0)):
    batches = loader(tokenizer, change, window, seed, size)
    for step in range(20 // size):
      batch = batches.batch_at(step)
      epochs = batches.order.epochs(step)
      for i, epoch, ids, mask in zip(
        batch["id"],
        epochs,
        batch["input_ids"],
        batch["attention_mask"],
        strict=True,
      ):
        text = tuple(ids[mask > 0].tolist())
        seen.setdefault((int(epoch), int(i)), set()).add(text)
  assert {epoch for epoch, _ in seen} == {0, 1, 2, 3}
  assert all(len(texts) == 1 for texts in seen.values())
  third = {texts.copy().pop() for (_, i), texts in seen.items() if i == 2}
  assert len(third) > 1


def test_what_outgrows_its_batch_stays(tokenizer):
  long = synonyms.replace(synonyms.read(["film\tmovie" + " x" * 30]), 1.0)
  plain, changed = (loader(tokenizer, a).batch_at(0) for a in (None, long))
  np.testing.assert_array_equal(plain["input_ids"], changed["input_ids"])
