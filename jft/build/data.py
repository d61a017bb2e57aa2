"""Config -> sources, splits and batches."""

import dataclasses

import jax
import numpy as np

from jft import data
from jft.build.documents import rows_of
from jft.build.encode import AUGMENT, make_encode
from jft.build.sources import open_source
from jft.build.task import label_kind
from jft.build.words import make_synonyms
from jft.data import EvalBatches, Source, TrainBatches
from jft.data.source import where
from jft.errors import UserError
from jft.spec import Spec
from jft.tasks import LANGUAGE
from jft.typing import Any, Mapping


@dataclasses.dataclass(frozen=True)
class Splits:
  """The batches of a run.

  Attributes:
    sources: {split: its examples}, "train" first; of documents before they
      became rows of tokens.
    train: shuffled, endless.
    evals: {"val": ..., "test": ...}: every example once; no test: no entry.
    label_names: in index order.
    digests: {split: the hashes of its inputs}.
    tokenizer: of texts; None of images.
  """

  sources: Mapping[str, Source]
  train: TrainBatches
  evals: Mapping[str, EvalBatches]
  label_names: tuple[str, ...]
  digests: Mapping[str, data.Digests]
  tokenizer: data.Tokenizer | None

  def describe(self) -> dict[str, Any]:
    """{split: {name, examples, sha256, sampled, ...}} for `run.json`."""
    return {
      split: {
        "name": source.name,
        "examples": len(source),
        "sha256": data.fingerprint(source, self.digests[split]),
        "sampled": self.digests[split].sampled,
        **_tokens({"train": self.train, **self.evals}[split].source),
      }
      for split, source in self.sources.items()
    }


def make_sources(config: Any) -> dict[str, Source]:
  """Returns {"train", "val"[, "test"]}: cut by content hash where not given.

  Raises:
    UserError: for a source that is missing, empty, or of other classes.
  """
  c, kind = config.data, label_kind(config)
  whole = open_source(c.train, c, tuple(c.label_names) or None, kind)
  names = whole.label_names
  if not names and kind not in ("number", "document", "pairs"):
    raise UserError(
      f"{whole.name} does not say its classes; give data.label_names."
    )
  given = {
    ours: open_source(c[key], c, names, kind)
    for ours, key in (("val", "validation"), ("test", "test"))
    if c[key]
  }
  shares = {
    ours: c[f"{key}_fraction"]
    for ours, key in (("val", "validation"), ("test", "test"))
    if ours not in given and c[f"{key}_fraction"]
  }
  if shares:
    shares = {"train": 1 - sum(shares.values()), **shares}
    given |= data.split(
      whole, shares, seed=config.seed if c.split_seed < 0 else c.split_seed
    )
  sources = {"train": given.get("train", whole), "val": given["val"]}
  if "test" in given:
    sources["test"] = given["test"]
  if c.train_examples:
    sources["train"] = data.take(
      sources["train"],
      c.train_examples,
      config.seed,
      stratify=kind == "class",
    )
  _check_range(config.task.target_range, sources)
  return sources


def make_splits(
  config: Any, sources: Mapping[str, Source], spec: Spec
) -> Splits:
  """Encodes the sources as the network wants its inputs, and batches them."""
  c = config.data
  encode = make_encode(config, spec)
  sources = {
    split: in_parts(source, encode) for split, source in sources.items()
  }
  read = dict(sources)
  if isinstance(encode, data.Tokenizer) and config.task.name in LANGUAGE:
    read = {
      split: rows_of(config, source, encode, spec)
      for split, source in sources.items()
    }
  processes = {
    "process_index": jax.process_index(),
    "process_count": jax.process_count(),
    "prefetch": c.prefetch,
  }
  in_training = encode
  if spec.kind == "image":
    in_training = make_encode(config, spec, train=True)
  train = data.batches(
    read["train"],
    config.train.batch_size,
    in_training,
    seed=config.seed,
    bucket_count=c.buckets,
    augment=AUGMENT[c.augment] or make_synonyms(config.augment),
    sampling=c.sampling,
    **processes,
  )
  # Every split pads to training's lengths, so that all share their programs.
  lengths = train.buckets and sorted({*train.buckets, c.max_length})
  evals = {
    split: data.eval_batches(
      source, config.eval.batch_size, encode, lengths=lengths, **processes
    )
    for split, source in read.items()
    if split != "train"
  }
  return Splits(
    sources,
    train,
    evals,
    tuple(sources["train"].label_names or ()),
    {split: data.digests(source) for split, source in sources.items()},
    encode if isinstance(encode, data.Tokenizer) else None,
  )


def _tokens(source: Source) -> dict[str, int]:
  """What a source of token rows holds; nothing of others."""
  if not isinstance(source, data.TokenRows):
    return {}
  return {
    "rows": len(source),
    "tokens": source.tokens,
    "tokens_to_learn": source.asked,
    "cut": source.cut,
  }


def in_parts(source: Source, encode: Any) -> Source:
  """Cuts sentences that are too long, where words are read; see `windows`."""
  if isinstance(encode, data.Tokenizer) and encode.reads == "words":
    return data.windows(source, encode)
  return source


def _check_range(given: Any, sources: Mapping[str, Source]) -> None:
  """A target beyond its range is a mistake in the data or in the range."""
  if not given:
    return
  for source in sources.values():
    targets = data.labels_of(source)
    outside = np.flatnonzero((targets < given[0]) | (targets > given[1]))
    if len(outside):
      i = int(outside[0])
      raise UserError(
        f"{where(source, i)} has the target {targets[i]:g}, outside"
        f" task.target_range={tuple(given)} ({len(outside):,} of"
        f" {len(targets):,} are)."
      )
