"""Records how the original tokenizers read `token_texts.TEXTS`.

  JFT_DATA=... python -m golden.make_tokens LLAMA.model SMOLLM2.gguf (in tests/)

Needs transformers 5 and sentencepiece. "gpt2" is by transformers; "llama" (its
model lies in the repository of llama2.c) and "tok512" by sentencepiece;
"llama_transformers" by transformers, whose prefix is missing where a text
begins with a space; "smollm2" by an own port of llama.cpp's rules and the
package regex, as its original tokenizer.json is not at hand.
"""

import contextlib
import itertools
import json
import os
import pathlib
import sys

import regex
import sentencepiece
from golden.llama2c_numpy import vocabulary
from golden.token_texts import TEXTS

with contextlib.suppress(ImportError):
  # Mends a torchvision without operators, which transformers would trip over.
  from golden import make_resnet  # noqa: F401
import transformers
from transformers.convert_slow_tokenizer import generate_merges

FILE = pathlib.Path(__file__).parent / "tokens.json"


def gpt2(root):
  folder = root / "gpt2-tokenizer"
  vocab = json.loads((folder / "encoder.json").read_text("utf-8"))
  lines = (folder / "vocab.bpe").read_text("utf-8").split("\n")[1:-1]
  merges = [tuple(line.split()) for line in lines]
  made = transformers.GPT2TokenizerFast(vocab=vocab, merges=merges)
  return [made(text)["input_ids"] for text in TEXTS]


def llama(root):
  rows = vocabulary(root / "llama2c-stories15M" / "tokenizer.bin")
  texts = ["<unk>", "<s>", "</s>", *(f"<0x{b:02X}>" for b in range(256))]
  texts += [text.decode().replace(" ", "\u2581") for text, _ in rows[259:]]
  vocab = {text: i for i, text in enumerate(texts)}
  scores = {t: s for t, (_, s) in zip(texts, rows, strict=True)}
  made = transformers.LlamaTokenizerFast(
    vocab=vocab, merges=generate_merges(vocab, scores), add_bos_token=True
  )
  made.add_bos_token = True
  made.update_post_processor()
  return [made(text)["input_ids"] for text in TEXTS]


def pieces(file):
  made = sentencepiece.SentencePieceProcessor(model_file=str(file))
  return [[1, *made.encode(text)] for text in TEXTS]


def smollm(file):
  from gguf import GGUFReader

  fields = GGUFReader(file).fields
  tokens = fields["tokenizer.ggml.tokens"].contents()
  merges = fields["tokenizer.ggml.merges"].contents()
  ids = {token: i for i, token in enumerate(tokens)}
  ranks = {tuple(m.split(" ")): i for i, m in enumerate(merges)}
  words = regex.compile(
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+"
    r"| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
  )
  letters = byte_letters()

  def word_tokens(word):
    parts = [letters[b] for b in word.encode()]
    while len(parts) > 1:
      pairs = [ranks.get(pair, 10**9) for pair in itertools.pairwise(parts)]
      at = min(range(len(pairs)), key=pairs.__getitem__)
      if pairs[at] == 10**9:
        break
      parts[at : at + 2] = [parts[at] + parts[at + 1]]
    return [ids[part] for part in parts]

  return [
    [
      token
      for piece in regex.split(r"(\p{N})", text)
      for word in words.findall(piece)
      for token in word_tokens(word)
    ]
    for text in TEXTS
  ]


def byte_letters():
  """GPT-2's letter for each byte."""
  plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
  odd = [b for b in range(256) if b not in plain]
  return {b: chr(b) for b in plain} | {
    b: chr(256 + i) for i, b in enumerate(odd)
  }


def main():
  root = pathlib.Path(os.environ["JFT_DATA"])
  found = {
    "gpt2": gpt2(root),
    "llama": pieces(sys.argv[1]),
    "llama_transformers": llama(root),
    "tok512": pieces(root / "llama2c-stories260K" / "tok512.model"),
    "smollm2": smollm(sys.argv[2]),
  }
  FILE.write_text(json.dumps(found) + "\n")


if __name__ == "__main__":
  main()
