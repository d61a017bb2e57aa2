"""Config -> sources, splits and batches."""

import dataclasses
import os
import pathlib
import re
import types

import jax
import numpy as np

from jft import data
from jft.build.task import label_kind, reads
from jft.data import EvalBatches, Source, TrainBatches
from jft.data.source import where
from jft.errors import UserError, did_you_mean
from jft.spec import Spec
from jft.typing import Any, Callable, Mapping, Sequence

KINDS = ("sklearn", "tfds", "idx", "folder", "csv", "jsonl")


@dataclasses.dataclass(frozen=True)
class Splits:
  """The batches of a run.

  Attributes:
    train: shuffled, endless.
    evals: {"val": ..., "test": ...}: every example once; no test: no entry.
    label_names: in index order.
    digests: {split: the hashes of its inputs}.
    tokenizer: of texts; None of images.
  """

  train: TrainBatches
  evals: Mapping[str, EvalBatches]
  label_names: tuple[str, ...]
  digests: Mapping[str, data.Digests]
  tokenizer: data.Tokenizer | None

  @property
  def sources(self) -> dict[str, Source]:
    """{split: its examples}, "train" first."""
    return {
      split: batches.source
      for split, batches in {"train": self.train, **self.evals}.items()
    }

  def describe(self) -> dict[str, Any]:
    """{split: {name, examples, sha256, sampled}} for `run.json`."""
    return {
      split: {
        "name": source.name,
        "examples": len(source),
        "sha256": data.fingerprint(source, self.digests[split]),
        "sampled": self.digests[split].sampled,
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
  if not names and kind != "number":
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
    given |= data.split(whole, shares, seed=config.seed)
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
  processes = {
    "process_index": jax.process_index(),
    "process_count": jax.process_count(),
    "prefetch": c.prefetch,
  }
  train = data.batches(
    sources["train"],
    config.train.batch_size,
    encode,
    seed=config.seed,
    bucket_count=c.buckets,
    **processes,
  )
  # Every split pads to training's lengths, so that all share their programs.
  lengths = train.buckets and sorted({*train.buckets, c.max_length})
  evals = {
    split: data.eval_batches(
      source, config.eval.batch_size, encode, lengths=lengths, **processes
    )
    for split, source in sources.items()
    if split != "train"
  }
  return Splits(
    train,
    evals,
    tuple(sources["train"].label_names or ()),
    {split: data.digests(source) for split, source in sources.items()},
    encode if isinstance(encode, data.Tokenizer) else None,
  )


def make_encode(config: Any, spec: Spec) -> Callable | data.Tokenizer:
  """Returns the tokenizer, or image example -> normalised array.

  Raises:
    UserError: for a text model that came without a tokenizer.
  """
  c = config.data
  if spec.kind == "image":
    return data.make_image_encode(
      c.image_size or spec.image_size,
      spec.mean,
      spec.std,
      channels=spec.config.in_channels,
      crop_pct=c.crop_pct or None,
    )
  if spec.tokenizer is None:
    raise UserError(
      f"{spec.source!r} has no tokenizer.json or vocab.txt beside its weights;"
      " put the model's own there."
    )
  return data.load_tokenizer(
    spec.tokenizer, max_length=c.max_length, reads=reads(config)
  )


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


def open_source(
  text: str,
  c: Any,
  label_names: tuple[str, ...] | None,
  label_kind: str = "class",
) -> Source:
  """Opens what a string such as "csv:$DIR/train.tsv" names.

  Args:
    text: "KIND:REST", $VARIABLES expanded.
    c: the config's section "data", for columns and policies.
    label_names: the classes in index order, or None to take the source's.
    label_kind: what the task reads, "class" or "number".
  """
  expanded = os.path.expandvars(text)
  if missing := re.findall(r"\$\{?(\w+)", expanded):
    raise UserError(
      f"{text!r}: the environment variable {missing[0]} is not set; it names"
      " the folder of the data (README, 'Data')."
    )
  kind, colon, rest = expanded.partition(":")
  if not colon or kind not in KINDS:
    raise UserError(
      f"data source {text!r}: expected one of"
      f" {', '.join(f'{known}:...' for known in KINDS)}."
      + did_you_mean(kind, KINDS)
    )
  readers = _READERS[label_kind]
  if kind not in readers:
    raise UserError(
      f"data source {text!r} gives classes; this task reads {label_kind}s from"
      f" {', '.join(f'{known}:...' for known in readers)}."
    )
  return readers[kind](rest, c, label_names)


def read_inputs(
  config: Any, kind: str, files: Sequence[str], on_error: str
) -> tuple[list[str], Source | None, list[tuple[str, str]]]:
  """Opens files to predict.

  Args:
    config: the run's, for the text column.
    kind: what the network reads, "image" or "text".
    files: paths.
    on_error: "error" or "skip", for unreadable images.

  Returns:
    (a name for each input, their source, [(skipped file, reason)]); no source
    where every file was skipped.
  """
  if kind == "text":
    return *_texts(files, config.data), []
  reasons = {path: data.verify_image(pathlib.Path(path)) for path in files}
  bad = [(path, reason) for path, reason in reasons.items() if reason]
  if bad and on_error == "error":
    raise UserError(
      f"{len(bad)} of {len(files)} images cannot be read, the first:"
      f" {bad[0][0]} ({bad[0][1]}). Leave them out, or give --on-error=skip."
    )
  good = [path for path in files if not reasons[path]]
  return good, data.image_files(good) if good else None, bad


def _texts(files: Sequence[str], c: Any) -> tuple[list[str], Source]:
  """Returns the texts' names, pairs joined by a tab, and their source."""
  keys = ("text", "text_pair") if c.text_pair_column else ("text",)
  rows = [row for path in files for row in _rows(path, c)]
  columns = {key: [row[key] for row in rows] for key in keys}
  names = ["\t".join(texts) for texts in zip(*columns.values(), strict=True)]
  return names, data.arrays(columns, name="inputs")


def _rows(path: str, c: Any) -> list[dict[str, str]]:
  suffix = os.path.splitext(path)[1]
  if suffix in (".csv", ".tsv", ".jsonl"):
    options = {**_columns(c), "label": None}
    if suffix == ".jsonl":
      source = data.jsonl(path, **options)
    else:
      source = data.csv(path, header=c.header, **options)
    return [source[i] for i in range(len(source))]
  if c.text_pair_column:
    raise UserError(
      f"{path}: this run reads pairs of texts; give a .csv, .tsv or .jsonl with"
      f" the columns {c.text_column!r} and {c.text_pair_column!r}."
    )
  try:
    with open(path, encoding="utf-8") as file:
      lines = file.read().splitlines()
  except (OSError, UnicodeDecodeError) as error:
    raise UserError(f"{path} is no readable UTF-8 text: {error}.") from error
  return [{"text": line} for line in lines if line.strip()]


def _sklearn(rest: str, c: Any, names: Any) -> Source:
  if rest != "digits":
    raise UserError(f"data source 'sklearn:{rest}': there is sklearn:digits.")
  return data.digits()


def _tfds(rest: str, c: Any, names: Any) -> Source:
  name, _, split = rest.rpartition("/")
  columns = None
  if c.text_column:
    wanted = {"text": c.text_column, "label": c.label_column}
    if c.text_pair_column:
      wanted["text_pair"] = c.text_pair_column
    columns = None if c.text_column == "text" else wanted
  return data.tfds(name, split, columns=columns)


def _idx(rest: str, c: Any, names: Any) -> Source:
  folder, _, split = rest.rpartition("/")
  return data.idx(folder, split, label_names=names)


def _folder(rest: str, c: Any, names: Any) -> Source:
  return data.image_folder(rest, on_error=c.on_error, label_names=names)


def _csv(rest: str, c: Any, names: Any) -> Source:
  return data.csv(rest, **_columns(c), header=c.header, label_names=names)


def _jsonl(rest: str, c: Any, names: Any) -> Source:
  return data.jsonl(rest, **_columns(c), label_names=names)


def _columns(c: Any) -> dict[str, Any]:
  return {
    "text": _column(c.text_column),
    "text_pair": _column(c.text_pair_column),
    "label": _column(c.label_column),
  }


def _csv_numbers(rest: str, c: Any, names: Any) -> Source:
  return data.csv(rest, **_columns(c), header=c.header, label_kind="number")


def _jsonl_numbers(rest: str, c: Any, names: Any) -> Source:
  return data.jsonl(rest, **_columns(c), label_kind="number")


def _column(name: str) -> str | int | None:
  return int(name) if name.isdecimal() else name or None


_READERS: Mapping[str, Mapping[str, Callable[..., Source]]] = (
  types.MappingProxyType(
    {
      "class": types.MappingProxyType(
        {
          "sklearn": _sklearn,
          "tfds": _tfds,
          "idx": _idx,
          "folder": _folder,
          "csv": _csv,
          "jsonl": _jsonl,
        }
      ),
      "number": types.MappingProxyType(
        {"csv": _csv_numbers, "jsonl": _jsonl_numbers}
      ),
    }
  )
)
"""{kind of label: {kind of source: opener}}."""
