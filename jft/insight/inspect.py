"""What a model is, what it costs, and what a config would train of it."""

import dataclasses
import re

from jft import tasks, tree
from jft.build import told
from jft.build.batch_norm import check_batch_norm
from jft.build.data import Splits, make_sources, make_splits
from jft.build.lengths import total_steps
from jft.build.model import load_net
from jft.build.surgical import Choice, choose
from jft.build.task import fitted, make_task
from jft.build.tuning import Tuning, make_tuning
from jft.errors import UserError
from jft.insight import costs, oddities, presets
from jft.insight.costs import Memory
from jft.insight.origin import Origin, origin
from jft.insight.subject import (
  Subject,
  inputs,
  of_net,
  of_source,
  with_head,
)
from jft.models.decoder_config import writes
from jft.preflight import view
from jft.preflight.finding import Finding
from jft.pretrained import preprocessing
from jft.spec import Spec
from jft.tuning import freeze
from jft.typing import Any, Sequence

BATCH_SIZE = 32
# Where no config says how long a text is.
_TOKENS = 128


@dataclasses.dataclass(frozen=True)
class Part:
  """One top-level part of the network: a block, the stem, the head.

  Attributes:
    name: such as "block_03".
    params: its parameters; trained: those a config trains.
    shapes: {leaf name: shape}.
  """

  name: str
  params: int
  trained: int
  shapes: dict[str, tuple[int, ...]]


@dataclasses.dataclass(frozen=True)
class Inspection:
  """Everything `jft inspect` shows; all of it plain values.

  Attributes:
    spec: family, preset, source, input and label facts.
    origin: what the model's own card says, None for random weights.
    load: {status: count} of the load; dropped: {reason: source tensors}.
    parts: in the order of the network.
    flops: multiply-adds count twice; of one example, forward.
    step_flops: under a config, of one example's loss and gradient: each phase,
      and "full", as if everything were trained.
    memory: of jft's steps at `batch_size`, on `device`.
    findings: what is unusual about the values.
    freeze: a row a label (no config: none).
    rates: a line on the peak learning rates of the labels, and lines on the
      parts that "surgical" chooses.
    phases: which labels from when on, and the factor on their rates.
    batch: of documents, a batch as the model reads it, what it shall learn
      marked; "" of others.
  """

  spec: dict[str, Any]
  origin: Origin | None
  load: dict[str, int]
  dropped: dict[str, list[str]]
  parts: list[Part]
  flops: float
  step_flops: dict[str, float]
  batch_size: int
  device: str
  memory: list[Memory]
  findings: list[Finding]
  freeze: list[freeze.Row]
  rates: list[str]
  phases: list[dict[str, Any]]
  batch: str = ""


def inspect_source(
  source: str, *, arch: str | None = None, batch_size: int = BATCH_SIZE
) -> Inspection:
  """Inspects pretrained weights as they are, one tensor in memory at a time.

  Args:
    source: as for `load_pretrained`.
    arch: of a bare file.
    batch_size: examples that the memory is asked for.
  """
  _check(batch_size)
  subject = of_source(source, arch)
  spec = subject.spec
  tokens = min(_TOKENS, spec.max_tokens or _TOKENS)
  return _inspect(subject, None, spec.image_size, tokens, batch_size)


def inspect_config(config: Any, *, batch_size: int | None = None) -> Inspection:
  """Inspects a config's model with what the config would train.

  Costs are of one input; a similarity reads two for each example.

  Args:
    config: as `jft.config.load` returns it.
    batch_size: examples that the memory is asked for; None: the config's.
  """
  from jft.build.check import check

  check(config)
  if batch_size is None:
    batch_size = int(config.train.batch_size)
  _check(batch_size)
  sources = make_sources(config)
  names = sources["train"].label_names or ()
  network = load_net(config, names, fit=False)
  check_batch_norm(config.tune, network.variables)
  splits, choice = None, Choice()
  lm = config.task.name in tasks.LANGUAGE
  if lm or config.tune.preset == "surgical":  # which rows, how many of them
    splits = make_splits(config, sources, network.spec)
    task = make_task(config, splits.label_names)
    choice = choose(config, fitted(config, network), task, splits)
  examples = splits.train.num_examples if splits else len(sources["train"])
  tuning = make_tuning(
    config,
    network.params,
    total_steps(config, examples),
    steps_per_epoch=examples / config.train.batch_size,
    chosen=choice.parts,
  )
  found = _inspect(
    of_net(network),
    tuning,
    config.data.image_size or network.spec.image_size,
    config.data.max_length,
    batch_size,
  )
  batch = _batch(config, splits, network.spec) if splits and lm else ""
  rates = [*choice.describe(), *told.rates(tuning)]
  return dataclasses.replace(found, batch=batch, rates=rates)


def _batch(config: Any, splits: Splits, spec: Spec) -> str:
  """Of documents, the first training batch, decoded."""
  task, tokenizer = make_task(config, ()), splits.tokenizer
  (seen,) = view.check(
    splits.train.batch_at(0),
    lambda label: task.answer(label, ()),
    lambda i: f"row {i} of {splits.train.source.name}",
    spec=spec,
    token=tokenizer.encoder.id_to_token if tokenizer else None,
  )
  return seen.message


def _check(batch_size: int) -> None:
  if batch_size < 1:
    raise UserError(f"batch_size={batch_size} must be at least 1.")


def _inspect(
  subject: Subject,
  tuning: Tuning | None,
  size: int,
  tokens: int,
  batch_size: int,
) -> Inspection:
  one = inputs(subject.spec, 1, size, tokens)
  many = inputs(subject.spec, batch_size, size, tokens)
  params = subject.variables["params"]
  labels = tuning.labels if tuning else {}
  trained = freeze.is_trained(labels) if tuning else lambda name: False
  phases = tuning.phases if tuning else ()
  active: dict[str, Any] = {
    f"phase {i}": freeze.is_trained(labels, phase.labels)
    for i, phase in enumerate(phases)
  }
  if active:  # to compare with
    active["full"] = lambda name: True
  model = subject.apply, subject.variables
  return Inspection(
    spec=_facts(subject, size, tokens),
    origin=origin(subject.located) if subject.located else None,
    load=subject.report.counts(),
    dropped=_dropped(subject),
    parts=_parts(params, trained),
    flops=costs.forward_flops(*model, one),
    step_flops={
      name: costs.step_flops(*model, one, fits) for name, fits in active.items()
    },
    batch_size=batch_size,
    device=costs.device(),
    memory=costs.memory(*with_head(subject), many, _task(subject.spec)),
    findings=[*subject.told, *oddities.find(subject.tensors())],
    freeze=freeze.table(params, labels, tuning.transforms) if tuning else [],
    rates=[],
    phases=[
      {
        "start_step": phase.start_step,
        "begins": told.when(phase),
        "labels": sorted(phase.labels),
        "lr_scale": tuning.phase_scales[i] if tuning else 1.0,
      }
      for i, phase in enumerate(phases)
    ],
  )


def _task(spec: Spec) -> tasks.Task:
  lm = writes(spec.config) and spec.num_classes
  return tasks.causal_lm() if lm else tasks.classification()


def _facts(subject: Subject, size: int, tokens: int) -> dict[str, Any]:
  spec = subject.spec
  facts: dict[str, Any] = {
    "source": spec.source,
    "sha256": spec.sha256,
    "family": spec.family,
    "preset": spec.preset,
    "like": "" if spec.preset else presets.like(spec.family, spec.config),
    "kind": spec.kind,
    "dialect": subject.dialect,
    "params": tree.count(subject.variables["params"]),
    "mb": round(tree.nbytes(subject.variables) / 2**20, 2),
    "stored": dict(subject.stored),
    "num_classes": None if writes(spec.config) else spec.num_classes,
    "writes": bool(writes(spec.config) and spec.num_classes),
    "label_names": list(spec.label_names),
  }
  if spec.kind == "image":
    normalise = f"(x / 255 - {_numbers(spec.mean)}) / {_numbers(spec.std)}"
    shape = f"{size} x {size} x {spec.config.in_channels}"
    if subject.told:
      normalise = "normalised in a way that nobody says"
    return facts | {
      "inputs": f"{shape}, {normalise}",
      "preprocessing": {
        field: getattr(spec, field) for field in preprocessing.FIELDS
      },
      "preprocessing_from": dict(spec.preprocessing_from),
    }
  return facts | {
    "inputs": f"up to {tokens} token ids",
    "tokens": tokens,
    "max_tokens": spec.max_tokens,
    "vocab_size": getattr(spec.config, "vocab_size", None),
    "tokenizer": spec.tokenizer.name if spec.tokenizer else None,
  }


def _numbers(values: Sequence[float]) -> str:
  return ", ".join(f"{value:g}" for value in values)


def _dropped(subject: Subject) -> dict[str, list[str]]:
  found: dict[str, list[str]] = {}
  for row in subject.report:
    if row.status == "dropped":
      found.setdefault(row.reason, []).append(str(row.source))
  return found


def _parts(params: Any, trained) -> list[Part]:
  groups: dict[str, dict[str, Any]] = {}
  for name, leaf in tree.flatten(params).items():
    groups.setdefault(name.split("/")[0], {})[name] = leaf
  return [
    Part(
      group,
      tree.count(leaves),
      tree.count({n: x for n, x in leaves.items() if trained(n)}),
      {name: tuple(leaf.shape) for name, leaf in leaves.items()},
    )
    for group, leaves in sorted(groups.items(), key=_depth)
  ]


def _depth(item: tuple[str, Any]) -> tuple[int, str]:
  """Below the blocks, the blocks, above them, the head."""
  name = item[0]
  if name in ("stem", "embeddings"):
    return 0, name
  if re.fullmatch(r"block_\d+", name):
    return 1, name
  return (3 if name == "head" else 2), name
