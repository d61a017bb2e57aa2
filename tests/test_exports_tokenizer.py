"""Tokenizers of every kind, as a tokenizer.json that reads the same."""

import dataclasses
import json
import pathlib

import pytest
from golden.token_texts import TEXTS
from test_data_encoders import PIECES, model, tokenizer_bin

from jft.data import load_tokenizer
from jft.exports import tokenizer
from jft.exports.samples import Samples
from jft.exports.subject import Subject
from jft.spec import Spec

GGUF = pathlib.Path(__file__).parent / "golden" / "gguf" / "llama.gguf"


def subject_of(file, **fields):
  spec = Spec("llama", "text", "", None, None, tokenizer=file, max_tokens=64)
  return Subject("mine", lambda: None, {}, spec, Samples((), ""), **fields)


def source(folder, kind):
  folder.mkdir()
  if kind == "gguf":
    return GGUF
  if kind == "bin":
    tokenizer_bin(folder)
    return folder / "tokenizer.bin"
  model(folder)
  return folder / "tokenizer.model"


@pytest.mark.parametrize("kind", ["bin", "model", "gguf"])
def test_what_transformers_does_not_read_becomes_a_tokenizer_json(
  kind, tmp_path
):
  file, out = source(tmp_path / "source", kind), tmp_path / "out"
  out.mkdir()
  tokenizer.write(subject_of(file), out)
  ours, theirs = load_tokenizer(file, 64), load_tokenizer(out, 64)
  assert tokenizer.differing(ours, theirs) is None
  for text in TEXTS:
    want = ours.uncut.encode(text).ids
    assert theirs.uncut.encode(text).ids == want
    assert theirs.decode(want) == ours.decode(want)
  assert (ours.bos_id, ours.eos_id) == (theirs.bos_id, theirs.eos_id)
  assert ours.chat_template == theirs.chat_template
  found = json.loads((out / "tokenizer_config.json").read_text())
  assert found["tokenizer_class"] == "PreTrainedTokenizerFast"
  assert found["model_max_length"] == 64
  assert found["eos_token"] == ours.encoder.id_to_token(ours.eos_id)
  assert ("unk_token" in found) == (kind != "gguf")
  template = out / "chat_template.jinja"
  assert template.is_file() == (kind == "gguf")


def test_a_runs_words_and_limit_go_with_it(tmp_path):
  file, out = source(tmp_path / "source", "bin"), tmp_path / "out"
  out.mkdir()
  mine = subject_of(file, max_length=9, new_tokens=("<new>",))
  tokenizer.write(mine, out)
  theirs = load_tokenizer(out, 9)
  assert theirs.uncut.encode("<new>").ids == [1, len(PIECES)]
  assert tokenizer.differing(tokenizer.encoder_of(mine), theirs) is None


def test_two_that_differ_are_told_by_a_text(tmp_path):
  """SentencePiece squeezes spaces, llama2.c does not."""
  files = [source(tmp_path / kind, kind) for kind in ("bin", "model")]
  a, b = (load_tokenizer(file, 64) for file in files)
  text = tokenizer.differing(a, b)
  assert text == " "
  assert a.uncut.encode(text).ids != b.uncut.encode(text).ids


def test_without_a_tokenizer_nothing_is_written(tmp_path):
  tokenizer.write(subject_of(None), tmp_path)
  made = subject_of(GGUF)
  image = dataclasses.replace(made.spec, kind="image")
  tokenizer.write(dataclasses.replace(made, spec=image), tmp_path)
  assert list(tmp_path.iterdir()) == []
