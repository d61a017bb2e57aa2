"""Which file of a folder is its tokenizer."""

import pytest

from jft import tokenizer_files


@pytest.mark.parametrize(
  ("names", "want"),
  [
    ((), None),
    (("vocab.txt", "tokenizer.json"), "tokenizer.json"),
    (("vocab.json",), None),
    (("vocab.json", "merges.txt", "tokenizer.model"), "vocab.json"),
    (("encoder.json", "vocab.bpe"), "encoder.json"),
    (("tokenizer.bin", "tokenizer.model"), "tokenizer.model"),
    (("tok512.bin", "tok512.model"), "tok512.model"),
    (("tok512.bin", "tok4096.bin"), None),
    (("token.bin",), None),
    (("a.gguf", "tokenizer.bin"), "tokenizer.bin"),
    (("a.gguf",), "a.gguf"),
    (("a.gguf", "b.gguf"), None),
  ],
)
def test_find(tmp_path, names, want):
  for name in names:
    (tmp_path / name).touch()
  found = tokenizer_files.find(tmp_path)
  assert found == (want and tmp_path / want)


def test_llama2cs_own_size_comes_first(tmp_path):
  assert tokenizer_files.find_llama2c(tmp_path, 512) is None
  for name in ("tokenizer.bin", "tok4096.bin", "tok512.bin"):
    (tmp_path / name).touch()
  found = tokenizer_files.find_llama2c(tmp_path, 512)
  assert found == tmp_path / "tok512.bin"
  found = tokenizer_files.find_llama2c(tmp_path, 32000)
  assert found == tmp_path / "tokenizer.bin"
