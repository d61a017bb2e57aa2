"""Tokenizers of decoders, against what the original ones read."""

import json
import os
import pathlib
import struct

import numpy as np
import pytest
from golden import llama2c_numpy
from golden.token_texts import TEXTS

from jft.data import load_tokenizer
from jft.data.encoders import sentencepiece_file
from jft.errors import UserError

GOLDEN = pathlib.Path(__file__).parent / "golden"
TOKENS = json.loads((GOLDEN / "tokens.json").read_text())


@pytest.fixture(scope="module")
def root():
  if "JFT_DATA" not in os.environ:
    pytest.skip("JFT_DATA is not set: GPT-2's and Llama's tokenizers")
  return pathlib.Path(os.environ["JFT_DATA"])


def ids(tokenizer, texts=TEXTS):
  return [
    row["input_ids"].tolist() for row in tokenizer.encode_batch(list(texts))
  ]


# --- GPT-2 -------------------------------------------------------------------


def test_gpt2_reads_as_transformers(root):
  tokenizer = load_tokenizer(root / "gpt2-tokenizer", 512)
  assert ids(tokenizer) == TOKENS["gpt2"]
  assert (tokenizer.bos_id, tokenizer.eos_id) == (50256, 50256)
  assert ids(tokenizer, ["Hello world<|endoftext|>"]) == [[15496, 995, 50256]]
  for text, row in zip(TEXTS, TOKENS["gpt2"], strict=True):
    assert tokenizer.decode(row) == text


VOCAB = {"<|endoftext|>": 0, "a": 1, "b": 2, "ab": 3, "\u0120": 4}


def gpt2_like(folder, vocab=VOCAB, **files):
  folder.mkdir(exist_ok=True)
  (folder / "vocab.json").write_text(json.dumps(vocab))
  (folder / "merges.txt").write_text("#version: 0.2\na b\n")
  for name, content in files.items():
    (folder / f"{name}.json").write_text(json.dumps(content))
  return folder


def test_vocab_and_merges_of_transformers(tmp_path):
  folder = gpt2_like(tmp_path)
  assert ids(load_tokenizer(folder, 16), ["abab b"]) == [[3, 3, 4, 2]]
  config = {"tokenizer_class": "GPT2TokenizerFast", "add_bos_token": True}
  gpt2_like(tmp_path, tokenizer_config=config)
  tokenizer = load_tokenizer(folder, 16)
  assert ids(tokenizer, ["ab"]) == [[0, 3]]
  pair = tokenizer.encode_batch(["a"], ["b"])[0]
  assert pair["input_ids"].tolist() == [0, 1, 0, 2]


@pytest.mark.parametrize(
  ("files", "message"),
  [
    ({"tokenizer_config": {"tokenizer_class": "RobertaTokenizer"}}, "Roberta"),
    ({"config": {"model_type": "roberta"}}, "got 'roberta', known are gpt2"),
    ({"vocab": VOCAB | {"<s>": 5}}, "known are <|endoftext|>"),
  ],
)
def test_other_tokenizers_of_the_same_files_are_not_guessed(
  tmp_path, files, message
):
  folder = gpt2_like(tmp_path, **files)
  with pytest.raises(UserError) as error:
    load_tokenizer(folder, 16)
  assert message in str(error.value)
  assert "tokenizer.json" in str(error.value)


def test_merges_that_are_no_pairs_are_named(tmp_path):
  folder = gpt2_like(tmp_path)
  (folder / "merges.txt").write_text("a b\nab\n")
  with pytest.raises(UserError, match=r"merges\.txt: 'ab' is not a pair"):
    load_tokenizer(folder, 16)


# --- what lies beside --------------------------------------------------------


def test_ends_and_templates_come_from_the_files_beside(tmp_path):
  vocab = VOCAB | {"<e>": 5, "<p>": 6}
  tokenizer_class = {"tokenizer_class": "GPT2Tokenizer"}
  gpt2_like(
    tmp_path,
    vocab,
    tokenizer_config=tokenizer_class | {"eos_token": {"content": "<e>"}},
    special_tokens_map={"eos_token": "a", "pad_token": "<p>"},
    generation_config={"bos_token_id": 2, "eos_token_id": [1, 2]},
  )
  tokenizer = load_tokenizer(tmp_path, 16)
  found = (tokenizer.bos_id, tokenizer.eos_id, tokenizer.pad_id)
  assert found == (2, 5, 6)
  assert tokenizer.chat_template is None
  templates = [{"name": "tools", "template": "t"}]
  templates += [{"name": "default", "template": "d"}]
  for given, want in (("x", "x"), (templates, "d"), (templates[:1], None)):
    config = tokenizer_class | {"chat_template": given}
    gpt2_like(tmp_path, vocab, tokenizer_config=config)
    assert load_tokenizer(tmp_path, 16).chat_template == want
  assert load_tokenizer(tmp_path, 16).eos_id == 1  # of the map, then
  (tmp_path / "special_tokens_map.json").unlink()
  assert load_tokenizer(tmp_path, 16).eos_id == 1  # of several the first
  (tmp_path / "chat_template.jinja").write_text("file")
  assert load_tokenizer(tmp_path, 16).chat_template == "file"
  (tmp_path / "generation_config.json").write_text("[")
  with pytest.raises(UserError, match=r"generation_config\.json: not JSON"):
    load_tokenizer(tmp_path, 16)


# --- Llama -------------------------------------------------------------------


def test_llama_reads_as_sentencepiece(root):
  tokenizer = load_tokenizer(root / "llama2c-stories15M", 512)
  assert ids(tokenizer) == TOKENS["llama"]
  assert (tokenizer.bos_id, tokenizer.eos_id, tokenizer.pad_id) == (1, 2, 0)
  # transformers 5 leaves the prefix out where a text begins with a space.
  for text, row, theirs in zip(
    TEXTS, TOKENS["llama"], TOKENS["llama_transformers"], strict=True
  ):
    assert (row == theirs) == (text[:1] not in (" ", "\u2581"))
    if "\u2581" not in text:
      assert tokenizer.decode(row) == text


def test_both_files_of_tok512_are_read_as_their_own_project_reads_them(root):
  folder = root / "llama2c-stories260K"
  assert ids(load_tokenizer(folder / "tok512.model", 512)) == TOKENS["tok512"]
  file = folder / "tok512.bin"
  rows = llama2c_numpy.vocabulary(file)
  texts = [text for text in TEXTS if "\u2581" not in text and "\0" not in text]
  want = [llama2c_numpy.encode(rows, text) for text in texts]
  assert ids(load_tokenizer(file, 512), texts) == want


def test_a_story_is_read_as_by_run_c(root):
  file = root / "llama2c-stories15M" / "tokenizer.bin"
  tokenizer, rows = load_tokenizer(file, 2048), llama2c_numpy.vocabulary(file)
  # Bytes as newer files spell them, so that each text has one piece.
  rows = [
    (b"<0x>", s) if 3 <= i < 259 else (t, s) for i, (t, s) in enumerate(rows)
  ]
  folder = root / "tinyshakespeare"
  text = max(folder.glob("*.txt"), key=lambda f: f.stat().st_size).read_text()
  line = text[5000:5400].replace("\n", " ")
  assert ids(tokenizer, [line]) == [llama2c_numpy.encode(rows, line)]


# Three special pieces, all bytes, and a few that can be merged.
PIECES = [b"<unk>", b"\n<s>\n", b"\n</s>\n"]
PIECES += [f"<0x{b:02X}>".encode() for b in range(256)]
PIECES += [b" ", b"a", b"b", b" a", b"ab", b" ab"]


def tokenizer_bin(folder, pieces=PIECES, scores=None):
  scores = scores or [-float(i) for i in range(len(pieces))]
  data = struct.pack("<i", max(map(len, pieces)))
  for text, score in zip(pieces, scores, strict=True):
    data += struct.pack("<fi", score, len(text)) + text
  (folder / "tokenizer.bin").write_bytes(data)
  return data


def test_a_made_tokenizer_bin_merges_by_score(tmp_path):
  tokenizer_bin(tmp_path)
  assert ids(load_tokenizer(tmp_path, 16), ["ab", "b a", "\xe9"]) == [
    [1, 264],
    [1, 259, 261, 262],
    [1, 259, 3 + 0xC3, 3 + 0xA9],
  ]
  better = [0.0] * 262 + [-9.0, -1.0, -2.0]  # "ab" before " a"
  tokenizer_bin(tmp_path, scores=better)
  assert ids(load_tokenizer(tmp_path, 16), ["abab"]) == [[1, 264, 263]]


@pytest.mark.parametrize(
  ("pieces", "message"),
  [
    (PIECES[:200], "it holds 200 pieces and 0 more bytes"),
    ([*PIECES, b"ab"], "the piece 'ab' comes twice"),
    ([*PIECES, b"\xff"], "piece 265 is not UTF-8"),
    ([*PIECES[:9], b"x", *PIECES[10:]], "piece 9 is b'x', expected b'<0x06>'"),
    ([*PIECES, b"x" * 300], "has 300 letters"),
  ],
)
def test_a_damaged_tokenizer_bin_is_named(tmp_path, pieces, message):
  tokenizer_bin(tmp_path, pieces)
  with pytest.raises(UserError) as error:
    load_tokenizer(tmp_path, 16)
  assert message in str(error.value)


def test_a_cut_tokenizer_bin_is_named(tmp_path):
  data = tokenizer_bin(tmp_path)
  (tmp_path / "tokenizer.bin").write_bytes(data[:-1])
  with pytest.raises(UserError, match="piece 264 claims 3 bytes"):
    load_tokenizer(tmp_path, 16)


# --- SentencePiece -----------------------------------------------------------


def field(number, value):
  if isinstance(value, int):
    return bytes([number << 3]) + bytes([value])
  if isinstance(value, float):
    return bytes([number << 3 | 5]) + struct.pack("<f", value)
  size = len(value)
  return varint(number << 3 | 2) + varint(size) + value


def varint(number):
  low, high = number & 127, number >> 7
  return bytes([low | 128]) + varint(high) if high else bytes([low])


def model(folder, trainer=b"", normalizer=b"", pieces=PIECES):
  kinds = [2, 3, 3] + [6] * 256 + [1] * (len(pieces) - 259)
  data = b""
  for i, (text, kind) in enumerate(zip(pieces, kinds, strict=True)):
    text = {1: b"<s>", 2: b"</s>"}.get(i, text).replace(b" ", "▁".encode())
    data += field(1, field(1, text) + field(2, -float(i)) + field(3, kind))
  data += field(2, field(3, 2) + trainer) + field(3, normalizer)
  (folder / "tokenizer.model").write_bytes(data)
  return data


def test_a_made_model_begins_and_squeezes_as_its_settings_say(tmp_path):
  model(tmp_path)
  assert ids(load_tokenizer(tmp_path, 16), ["  b  b "]) == [
    [1, 259, 261, 259, 261]
  ]
  model(tmp_path, normalizer=field(3, 0) + field(4, 0))
  assert ids(load_tokenizer(tmp_path, 16), ["b  b"]) == [
    [1, 261, 259, 259, 261]
  ]
  config = {"add_bos_token": False, "add_eos_token": True}
  (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
  assert ids(load_tokenizer(tmp_path, 16), ["b"]) == [[261, 2]]


@pytest.mark.parametrize(
  ("options", "message"),
  [
    ({"trainer": field(3, 1)}, "SentencePiece's type 1, jft reads BPE"),
    ({"normalizer": field(2, b"table")}, "by a table of its own"),
    ({"pieces": PIECES[:3] + PIECES[259:]}, "256 bytes have no piece: <0x00>"),
  ],
)
def test_other_models_are_refused(tmp_path, options, message):
  if "pieces" in options:
    options["pieces"] = [*PIECES[:258], *PIECES[259:]]
    message = "1 of the 256 bytes have no piece: <0xFF>"
  model(tmp_path, **options)
  with pytest.raises(UserError) as error:
    load_tokenizer(tmp_path, 16)
  assert message in str(error.value)


def test_a_cut_model_is_named(tmp_path):
  data = model(tmp_path)
  for cut in (1, 5, len(data) // 2, len(data) - 1):
    (tmp_path / "tokenizer.model").write_bytes(data[:cut])
    with pytest.raises(UserError, match="not a tokenizer"):
      load_tokenizer(tmp_path, 16)
  with pytest.raises(UserError, match="more than 70 bits"):
    list(sentencepiece_file._fields(b"\xff" * 11))


def test_decode_takes_arrays(tmp_path):
  tokenizer_bin(tmp_path)
  tokenizer = load_tokenizer(tmp_path, 16)
  assert tokenizer.decode(np.array([1, 264, 261, 2])) == "abb"
