"""Data: sources of examples, their order, and batches by step.

  train = data.image_folder("hymenoptera/train")
  encode = data.make_image_encode(224, mean=(0.5,) * 3, std=(0.5,) * 3)
  loader = data.batches(train, 32, encode, seed=0)
  for batch in loader.from_step(step, until=500):
    ...
  val = data.image_folder("hymenoptera/val", label_names=train.label_names)
  for batch in data.eval_batches(val, 32, encode):
    ...

For text, give a tokenizer in place of `encode`:

  source = data.csv("sst2/train.tsv", text=0, label=1, header=False)
  parts = data.split(source, {"train": 0.9, "validation": 0.1})
  tokenizer = data.load_tokenizer("all-minilm-l6-v2", max_length=128)
  loader = data.batches(parts["train"], 32, tokenizer, seed=0)

`batch_at(step)` is a pure function of the seed and the step: a resumed run
needs no iterator state, and any number of processes sees the same global
batch.
"""

from jft.data.buckets import buckets
from jft.data.by_class import SAMPLINGS, ByClass
from jft.data.chat import Template, load_template, prompt_of, rendered
from jft.data.decode import verify as verify_image
from jft.data.hashing import Digests, digests, fingerprint
from jft.data.images import make_image_encode, to_float
from jft.data.labels import labels_of
from jft.data.loader import EvalBatches, TrainBatches, batches, eval_batches
from jft.data.masking import Masking, make_masking, masked_rows
from jft.data.order import index_at
from jft.data.source import Source, subset, take
from jft.data.sources.arrays import arrays
from jft.data.sources.digits import digits
from jft.data.sources.document_rows import (
  csv_documents,
  json_documents,
  prompts,
)
from jft.data.sources.documents import Documents, Turn, text_documents
from jft.data.sources.files import image_files
from jft.data.sources.folder import image_folder
from jft.data.sources.idx import idx
from jft.data.sources.table import csv, jsonl
from jft.data.sources.tagged import Sentences, conll, tagged_jsonl
from jft.data.sources.tfds import tfds
from jft.data.splits import split
from jft.data.text import Tokenizer, load_tokenizer
from jft.data.token_rows import TokenRows, token_rows
from jft.data.tokens import TEXTS
from jft.data.windows import Windows, windows

__all__ = [
  "SAMPLINGS",
  "TEXTS",
  "ByClass",
  "Digests",
  "Documents",
  "EvalBatches",
  "Masking",
  "Sentences",
  "Source",
  "Template",
  "TokenRows",
  "Tokenizer",
  "TrainBatches",
  "Turn",
  "Windows",
  "arrays",
  "batches",
  "buckets",
  "conll",
  "csv",
  "csv_documents",
  "digests",
  "digits",
  "eval_batches",
  "fingerprint",
  "idx",
  "image_files",
  "image_folder",
  "index_at",
  "json_documents",
  "jsonl",
  "labels_of",
  "load_template",
  "load_tokenizer",
  "make_image_encode",
  "make_masking",
  "masked_rows",
  "prompt_of",
  "prompts",
  "rendered",
  "split",
  "subset",
  "tagged_jsonl",
  "take",
  "text_documents",
  "tfds",
  "to_float",
  "token_rows",
  "verify_image",
  "windows",
]
