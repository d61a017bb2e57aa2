"""Readers of images, tables, texts and tokenizers."""

import functools
import gzip
import io
import json
import os
import pathlib
import struct
import zlib

import numpy as np
import tokenizers
from chaos import mutate
from chaos.reader import Reader, saving
from PIL import Image

from jft import data as sources
from jft.data.decode import decode, verify

WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "bad", "##ly")
TEXTS = ("", "good film", "badly é 東京 \0 [SEP] 🙂", "x" * 300)


def images(kind: str, **options):
  """Returns a function that makes two small images of a format."""

  @functools.cache
  def make() -> list[bytes]:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (12, 17, 3), np.uint8)
    made = []
    for mode in ("RGB", "P" if kind in ("PNG", "GIF", "BMP") else "L"):
      file = io.BytesIO()
      image = Image.fromarray(pixels).convert(mode)
      image.save(file, kind, **options)
      made.append(file.getvalue())
    return made

  return make


def see(folder: pathlib.Path, data: bytes) -> None:
  path = folder / "x.img"
  path.write_bytes(data)
  verify(path)
  decode(data, "x.img")


def see_png(folder: pathlib.Path, data: bytes) -> None:
  """Mends the checksums of the chunks, or little gets past them."""
  out, at = bytearray(data), 8
  while at + 12 <= len(out):
    size = struct.unpack_from(">I", out, at)[0]
    end = at + 8 + size
    if end + 4 > len(out):
      break
    struct.pack_into(">I", out, end, zlib.crc32(out[at + 4 : end]))
    at = end + 4
  see(folder, bytes(out))


def texts_of(source) -> None:
  for i in range(len(source)):
    {key: str(value) for key, value in source[i].items()}
    source[i]["text"].encode()


def read_csv(path: pathlib.Path) -> None:
  texts_of(sources.csv(path, text="text", label="label"))


def read_columns(path: pathlib.Path) -> None:
  texts_of(sources.csv(path, text=0, label=1, text_pair=0, header=False))


def read_jsonl(path: pathlib.Path) -> None:
  texts_of(sources.jsonl(path, label_names=("0", "1", "2")))


def read_jsonl_labels(path: pathlib.Path) -> None:
  texts_of(sources.jsonl(path))


CSV = b'text,label\n"a ""film"", good",1\nbad,0\n"two\nlines",1\n'
TSV = b'good film\t1\nbad "film\t0\nso so\t1\n'
ROWS = [{"text": f"film {i}", "label": i % 2, "more": None} for i in range(3)]


def lines() -> list[bytes]:
  return ["".join(f"{json.dumps(row)}\n" for row in ROWS).encode()]


def a_line(rng: np.random.Generator, seeds) -> bytes:
  """Damages one row as JSON, or the file as text."""
  if rng.random() < 0.4:
    return mutate.mutate(rng, seeds, "text")
  rows = seeds[0].splitlines(keepends=True)
  rows[int(rng.integers(3))] = mutate.mutate(rng, [rows[0]], "json") + b"\n"
  return b"".join(rows)


def idx_files() -> list[bytes]:
  pixels = np.arange(24, dtype=np.uint8)
  return [
    bytes([0, 0, 8, 3]) + struct.pack(">III", 2, 3, 4) + pixels.tobytes(),
    bytes([0, 0, 8, 1]) + struct.pack(">I", 2) + b"\1\0",
  ]


def labels_beside(folder: pathlib.Path) -> None:
  (folder / "train-labels-idx1-ubyte").write_bytes(idx_files()[1])


def packed(folder: pathlib.Path, data: bytes) -> None:
  path = folder / "train-images-idx3-ubyte.gz"
  path.write_bytes(gzip.compress(data, 1))
  sources.idx(folder)


def label_file(folder: pathlib.Path, data: bytes) -> None:
  (folder / "t10k-images-idx3-ubyte").write_bytes(idx_files()[0])
  (folder / "t10k-labels-idx1-ubyte").write_bytes(data)
  sources.idx(folder, "test", label_names=("a", "b"))


def read_folder(folder: pathlib.Path, data: bytes) -> None:
  """Makes a folder of the names in the input, and reads all of it."""
  root = folder / f"root{len(list(folder.iterdir()))}"
  for name in data.split(b"\n"):
    path = os.path.join(os.fsencode(root), *name.split(b"/")[-2:])
    try:
      os.makedirs(os.path.dirname(path), exist_ok=True)
      if name.endswith(b"link.png"):
        os.symlink(os.path.basename(path), path)
      elif name.endswith(b"fifo.png"):
        os.mkfifo(path)
      elif name.endswith(b"dir.png"):
        os.makedirs(path)
      else:
        pathlib.Path(os.fsdecode(path)).write_bytes(images("PNG")()[0])
    except (OSError, ValueError):
      continue  # No file system has such a name.
  for on_error in ("error", "skip"):
    source = sources.image_folder(root, on_error=on_error)
    for i in range(len(source)):
      source.content(i)
      source[i]
    json.dumps(source.label_names, ensure_ascii=False).encode()


NAMES = (
  b"ant/1.png\nant/2.png\nbee/3.png",
  b"ant/1.png\nbee/link.png\nbee/4.png",
  b"ant/a.png\nb.b/dir.png\nbee/fifo.png\nbee/3.JPG",
)


@functools.cache
def tokenizer_files() -> list[bytes]:
  vocab = {word: i for i, word in enumerate(WORDS)}
  unk = "[UNK]"
  models = tokenizers.models
  made = []
  for model in (
    models.WordPiece(vocab, unk_token=unk),
    models.WordLevel(vocab, unk_token=unk),
    models.BPE(vocab | {"g": 8, "o": 9, "go": 10}, [("g", "o")]),
    models.Unigram([(word, -1.0) for word in WORDS], unk_id=1),
  ):
    made_one = tokenizers.Tokenizer(model)
    made_one.normalizer = tokenizers.normalizers.BertNormalizer()
    made_one.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    made_one.post_processor = tokenizers.processors.TemplateProcessing(
      single="[CLS] $A [SEP]",
      pair="[CLS] $A [SEP] $B:1 [SEP]:1",
      special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    made_one.add_special_tokens(list(WORDS[:5]))
    made.append(made_one.to_str().encode())
  return made


def encode(path: pathlib.Path) -> None:
  found = sources.load_tokenizer(path, 12)
  for rows in (found.encode_batch(TEXTS), found.encode_batch(TEXTS, TEXTS)):
    for row in rows:
      if len(row["input_ids"]) > 12:
        raise TypeError("longer than max_length")


def word_list(folder: pathlib.Path) -> None:
  (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n")


CONFIG = {
  "do_lower_case": True,
  "model_max_length": 512,
  "pad_token": {"content": "[PAD]"},
  "strip_accents": None,
  "tokenize_chinese_chars": True,
}

READERS = (
  Reader("image: png", images("PNG"), see),
  Reader("image: png, sound checksums", images("PNG"), see_png, inputs=5000),
  Reader("image: jpeg", images("JPEG"), see),
  Reader("image: jpeg, progressive", images("JPEG", progressive=True), see),
  Reader("image: gif", images("GIF"), see),
  Reader("image: bmp", images("BMP"), see),
  Reader("image: webp", images("WEBP", lossless=True), see),
  Reader("image: tiff", images("TIFF"), see),
  Reader("image: tiff, lzw", images("TIFF", compression="tiff_lzw"), see),
  Reader("csv", lambda: [CSV], saving("x.csv", read_csv), "text"),
  Reader("tsv", lambda: [TSV], saving("x.tsv", read_columns), "text"),
  Reader(
    "jsonl", lines, saving("x.jsonl", read_jsonl), make=a_line, inputs=5000
  ),
  Reader(
    "jsonl: classes of its own",
    lines,
    saving("x.jsonl", read_jsonl_labels),
    make=a_line,
  ),
  Reader(
    "idx",
    lambda: idx_files()[:1],
    saving("train-images-idx3-ubyte", lambda p: sources.idx(p.parent)),
    prepare=labels_beside,
  ),
  Reader("idx: labels", lambda: idx_files()[1:], label_file),
  Reader("idx in gzip", lambda: idx_files()[:1], packed, prepare=labels_beside),
  Reader(
    "gzip of idx",
    lambda: [gzip.compress(idx, 9, mtime=0) for idx in idx_files()[:1]],
    saving("train-images-idx3-ubyte.gz", lambda p: sources.idx(p.parent)),
    prepare=labels_beside,
  ),
  Reader("image folder", lambda: NAMES, read_folder, "text", inputs=400),
  Reader(
    "tokenizer.json",
    tokenizer_files,
    saving("tokenizer.json", encode),
    "json",
    inputs=6000,
  ),
  Reader(
    "vocab.txt",
    lambda: ["".join(f"{word}\n" for word in WORDS).encode()],
    saving("vocab.txt", encode),
    "text",
  ),
  Reader(
    "tokenizer_config.json",
    lambda: [json.dumps(CONFIG).encode()],
    saving("tokenizer_config.json", lambda path: encode(path.parent)),
    "json",
    prepare=word_list,
  ),
)
