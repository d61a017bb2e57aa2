"""BERT's tokenizer, from its word list."""

from pathlib import Path
from typing import Any

import tokenizers

from jft.data.encoders.made import Made


def read(file: Path, config: dict[str, Any]) -> Made:
  """Reads a `vocab.txt`, a word a line.

  Args:
    file: the list.
    config: the `tokenizer_config.json` beside it.
  """
  lines = file.read_text(encoding="utf-8").split("\n")
  words = lines[:-1] if lines[-1] == "" else lines
  vocab = {word: i for i, word in enumerate(words)}
  lower = config.get("do_lower_case", True)
  encoder = tokenizers.Tokenizer(
    tokenizers.models.WordPiece(
      vocab, unk_token="[UNK]", max_input_chars_per_word=100
    )
  )
  encoder.normalizer = tokenizers.normalizers.BertNormalizer(
    clean_text=True,
    handle_chinese_chars=config.get("tokenize_chinese_chars", True),
    strip_accents=config.get("strip_accents"),
    lowercase=lower,
  )
  encoder.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
  encoder.post_processor = tokenizers.processors.BertProcessing(
    ("[SEP]", vocab["[SEP]"]), ("[CLS]", vocab["[CLS]"])
  )
  special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
  encoder.add_special_tokens([token for token in special if token in vocab])
  return Made(encoder)
