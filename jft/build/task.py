"""Config -> the task, and what it asks of data and model."""

import dataclasses
import functools
import types

from jft import data, distill, losses, r_drop, siamese, tasks
from jft.build import objective
from jft.data.text import Reads
from jft.errors import UserError
from jft.net import Net
from jft.typing import Any, ApplyFn, Callable, Mapping, Sequence


def make_task(
  config: Any,
  label_names: Sequence[str],
  train: data.Source | None = None,
  network: Net | None = None,
) -> tasks.Task:
  """Returns the loss, metrics and reports of a config's task.

  Args:
    config: of the run.
    label_names: in index order.
    train: the training examples, whose class counts may be asked for; None
      where nothing is trained.
    network: as loaded, where it is known.
  """
  c = config.task
  words = getattr(network.spec.config, "vocab_size", 0) if network else 0
  made = _MAKERS[c.name](c, Facts(tuple(label_names), train, words))
  if c.teacher:
    made = distill.distilled(
      made,
      alpha=c.teacher_alpha,
      temperature=c.teacher_temperature,
      feature_weight=c.teacher_features,
    )
  return r_drop.regularized(made, c.r_drop) if c.r_drop else made


def label_kind(config: Any) -> str:
  """What the data's labels must be; see `data.labels.KINDS`."""
  return _LABELS[config.task.name]


def outputs(config: Any, label_names: Sequence[str]) -> int | None:
  """How many outputs the head has; 0: there is none, None: the source's own."""
  fixed = {
    "regression": 1,
    "similarity": 0,
    "retrieval": 0,
    "causal_lm": None,
    "masked_lm": None,
    "ordinal": len(label_names) - 1,
  }
  return fixed.get(config.task.name, len(label_names))


def reads(config: Any) -> Reads:
  """How a tokenizer reads the examples; see `data.Tokenizer`."""
  return _READS.get(config.task.name, "text")


def options(config: Any) -> dict[str, Any]:
  """What the task sets of the model's config."""
  task = _MODEL_TASKS.get(config.task.name)
  return {"task": task} if task else {}


def fitted(config: Any, network: Net) -> Net:
  """Returns the network as the task calls it.

  Raises:
    UserError: if the task is not one for what the model reads.
  """
  if config.task.name in _READS and network.spec.kind != "text":
    raise UserError(
      f"task.name={config.task.name!r} is of texts, and"
      f" {network.spec.source or network.spec.preset!r} reads"
      f" {network.spec.kind}s."
    )
  wrap = _WRAPPERS.get(config.task.name)
  apply = network.apply if wrap is None else wrap(network.apply)
  if config.task.r_drop:
    _check_drops(config, network)
    apply = r_drop.twice(apply)
  return dataclasses.replace(network, apply=apply)


def _check_drops(config: Any, network: Net) -> None:
  """Two passes of a network without dropout are one and the same."""
  fields = dataclasses.asdict(network.spec.config)
  rates = [x for name, x in fields.items() if "drop" in name]
  rates += [config.model.head_dropout, config.adapter.dropout]
  if not any(isinstance(x, int | float) and x for x in rates):
    raise UserError(
      f"task.r_drop={config.task.r_drop} compares two passes with other"
      " dropout, and this model has none; set model.head_dropout, or r_drop to"
      " 0."
    )


@dataclasses.dataclass(frozen=True)
class Facts:
  """What a task may have to know of the run: see `make_task`."""

  label_names: tuple[str, ...]
  train: data.Source | None
  words: int

  @property
  def of_training(self) -> tuple[tuple[str, ...], data.Source | None]:
    """What the weights of classes are computed from."""
    return self.label_names, self.train


def _classification(c: Any, facts: Facts) -> tasks.Task:
  return tasks.classification(
    label_smoothing=c.label_smoothing,
    loss=objective.loss_of(c),
    class_weights=objective.weights_of(c, *facts.of_training),
    adjustment=objective.adjustment_of(c, *facts.of_training),
  )


def _multi_label(c: Any, facts: Facts) -> tasks.Task:
  return tasks.multi_label(
    loss=objective.loss_of(c) or losses.sigmoid_cross_entropy,
    pos_weight=objective.pos_weight_of(c, *facts.of_training),
  )


def _ordinal(c: Any, facts: Facts) -> tasks.Task:
  return tasks.ordinal(len(facts.label_names))


def _regression(c: Any, facts: Facts) -> tasks.Task:
  return tasks.regression(
    target_range=tuple(c.target_range) or None,
    loss=objective.loss_of(c) or losses.squared_error,
    name=c.name,
  )


def _retrieval(c: Any, facts: Facts) -> tasks.Task:
  return tasks.retrieval(
    temperature=c.temperature,
    symmetric=c.symmetric,
    margin=c.margin if c.loss == "triplet" else None,
  )


def _tokens(c: Any, facts: Facts) -> tasks.Task:
  return tasks.token_classification(
    facts.label_names,
    label_smoothing=c.label_smoothing,
    class_weights=objective.weights_of(c, *facts.of_training),
  )


def _language(
  make: Callable[..., tasks.Task], c: Any, facts: Facts
) -> tasks.Task:
  return make(facts.words, label_smoothing=c.label_smoothing)


_MAKERS: Mapping[str, Callable[..., tasks.Task]] = types.MappingProxyType(
  {
    "classification": _classification,
    "multi_label": _multi_label,
    "ordinal": _ordinal,
    "regression": _regression,
    "similarity": _regression,
    "retrieval": _retrieval,
    "token_classification": _tokens,
    "causal_lm": functools.partial(_language, tasks.causal_lm),
    "masked_lm": functools.partial(_language, tasks.masked_lm),
  }
)
_LABELS: Mapping[str, str] = types.MappingProxyType(
  {
    "classification": "class",
    "multi_label": "multi",
    "ordinal": "class",
    "regression": "number",
    "similarity": "number",
    "retrieval": "pairs",
    "token_classification": "tags",
    "causal_lm": "document",
    "masked_lm": "document",
  }
)
_READS: Mapping[str, Reads] = types.MappingProxyType(
  {
    "similarity": "apart",
    "retrieval": "apart",
    "token_classification": "words",
  }
)
_WRAPPERS: Mapping[str, Callable[[ApplyFn], ApplyFn]] = types.MappingProxyType(
  {"similarity": siamese.cosine, "retrieval": siamese.apart}
)
_MODEL_TASKS: Mapping[str, str] = types.MappingProxyType(
  {"token_classification": "tokens", "causal_lm": "lm", "masked_lm": "mlm"}
)
