import numpy as np
import pytest
import tiny

from jft import data
from jft.data.masking import Masking
from jft.errors import UserError
from jft.typing import IGNORED

IDS = np.arange(100_000, dtype=np.int32) % 1000 + 10
MASKING = Masking(0.15, mask_id=4, words=5000, seed=0)


def test_the_shares_of_bert():
  own = IDS % 10 != 0  # A tenth are special tokens.
  read, asked = MASKING.hide(IDS, own, 0, 0)
  hidden = asked != IGNORED
  assert not hidden[~own].any()
  np.testing.assert_array_equal(read[~hidden], IDS[~hidden])
  np.testing.assert_array_equal(asked[hidden], IDS[hidden])
  n = hidden.sum()
  assert n / own.sum() == pytest.approx(0.15, abs=0.005)
  assert (read[hidden] == 4).sum() / n == pytest.approx(0.8, abs=0.01)
  assert (read[hidden] == IDS[hidden]).sum() / n == pytest.approx(0.1, abs=0.01)
  other = read[hidden & (read != 4) & (read != IDS)]
  assert other.min() < 20
  assert other.max() > 4950


def test_a_function_of_seed_epoch_and_row():
  own = np.ones(100, bool)
  ids = IDS[:100]

  def of(index, epoch, masking=MASKING):
    return masking.hide(ids, own, index, epoch)[1].tolist()

  assert of(3, 1) == of(3, 1)
  others = [of(4, 1), of(3, 2), of(3, None), of(3, 1, Masking(0.15, 4, 9, 1))]
  assert all(other != of(3, 1) for other in others)


@pytest.fixture
def rows(tmp_path):
  tiny.write_bert(tmp_path)
  text = "good bad film " * 9 + "\n\n" + "film good\n"
  (tmp_path / "a.txt").write_text(text)
  source = data.text_documents(f"{tmp_path}/a.txt", separator="\n\n")
  tokenizer = data.load_tokenizer(tmp_path, max_length=12)
  masking = data.make_masking(tokenizer, 0.5, seed=0)
  return data.masked_rows(source, tokenizer, masking), tokenizer


def test_every_row_stands_between_special_tokens(rows):
  made, tokenizer = rows
  sep = tokenizer.encoder.token_to_id("[SEP]")
  cls = tokenizer.encoder.token_to_id("[CLS]")
  assert [len(row.ids) for row in made.rows] == [12, 12, 9, 4]
  for row in made.rows:
    assert (row.ids[0], row.ids[-1]) == (cls, sep)
    assert (row.label == IGNORED).tolist() == np.isin(
      row.ids, [cls, sep]
    ).tolist()
  assert sum(len(row.ids) - 2 for row in made.rows) == 27 + 2
  assert made.asked == round(29 * 0.5)


def test_training_hides_anew_and_evaluation_never(rows):
  made, tokenizer = rows
  train = data.batches(made, 4, tokenizer, seed=0, bucket_count=1)
  first, again = train.batch_at(0), train.batch_at(1)
  a, b = (x["label"][np.argsort(x["id"])] for x in (first, again))
  assert (a != b).any()
  np.testing.assert_array_equal(first["label"], train.batch_at(0)["label"])
  assert (first["label"][first["attention_mask"] == 0] == IGNORED).all()
  one, other = (
    data.eval_batches(made, size, tokenizer, lengths=[12]) for size in (2, 4)
  )
  rows_of = [
    {
      int(i): row.tolist()
      for batch in batches
      for i, row in zip(batch["id"], batch["input_ids"], strict=True)
    }
    for batches in (one, other)
  ]
  assert rows_of[0] == rows_of[1]


def test_what_cannot_be_hidden(tmp_path):
  tiny.write_llama(tmp_path)
  tokenizer = data.load_tokenizer(tmp_path, max_length=12)
  with pytest.raises(UserError, match="has no mask token"):
    data.make_masking(tokenizer, 0.15, 0)
  with pytest.raises(UserError, match=r"must be in \(0, 1\), got 0"):
    data.make_masking(tokenizer, 0, 0)
