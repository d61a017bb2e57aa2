"""Readers of decoders' tokenizers."""

import json
import pathlib
import tempfile

from chaos.datasets import encode
from chaos.formats import GGUF, gguf_files
from chaos.reader import Reader, saving
from test_data_encoders import VOCAB, model, tokenizer_bin


def made(make) -> list[bytes]:
  """The one sound file that `make` writes into a folder."""
  with tempfile.TemporaryDirectory() as folder:
    return [make(pathlib.Path(folder))]


def merges_beside(folder: pathlib.Path) -> None:
  (folder / "merges.txt").write_text("#version: 0.2\na b\n")


def vocab_beside(folder: pathlib.Path) -> None:
  (folder / "vocab.json").write_text(json.dumps(VOCAB))


def encode_beside(path: pathlib.Path) -> None:
  encode(path.parent / "vocab.json")


CONFIG = {
  "tokenizer_class": "GPT2Tokenizer",
  "add_bos_token": True,
  "eos_token": {"content": "ab"},
  "chat_template": [{"name": "default", "template": "x"}],
}


def words_beside(folder: pathlib.Path) -> None:
  vocab_beside(folder)
  merges_beside(folder)


READERS = (
  Reader(
    "tokenizer in GGUF",
    gguf_files,
    saving("x.gguf", encode),
    "bytes",
    GGUF,
    4000,
  ),
  Reader(
    "llama2.c tokenizer",
    lambda: made(tokenizer_bin),
    saving("tokenizer.bin", encode),
  ),
  Reader(
    "SentencePiece",
    lambda: made(model),
    saving("tokenizer.model", encode),
  ),
  Reader(
    "vocab.json",
    lambda: [json.dumps(VOCAB).encode()],
    saving("vocab.json", encode),
    "json",
    prepare=merges_beside,
  ),
  Reader(
    "merges.txt",
    lambda: [b"#version: 0.2\na b\n"],
    saving("merges.txt", encode_beside),
    "text",
    prepare=vocab_beside,
  ),
  Reader(
    "tokenizer_config.json of a decoder",
    lambda: [json.dumps(CONFIG).encode()],
    saving("tokenizer_config.json", encode_beside),
    "json",
    prepare=words_beside,
  ),
  Reader(
    "generation_config.json",
    lambda: [json.dumps({"eos_token_id": [1, 2], "bos_token_id": 0}).encode()],
    saving("generation_config.json", encode_beside),
    "json",
    prepare=words_beside,
  ),
)
