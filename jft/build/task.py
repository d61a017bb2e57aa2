"""Config -> the task, and what it asks of data and model."""

import dataclasses
import types

from jft import siamese, tasks
from jft.data.text import Reads
from jft.errors import UserError
from jft.net import Net
from jft.typing import Any, Callable, Mapping, Sequence


def make_task(config: Any, label_names: Sequence[str]) -> tasks.Task:
  """Returns the loss, metrics and reports of a config's task."""
  return _MAKERS[config.task.name](config.task, label_names)


def label_kind(config: Any) -> str:
  """What the data's labels must be: "class", "number", "tags", "document"."""
  return _LABELS[config.task.name]


def outputs(config: Any, label_names: Sequence[str]) -> int | None:
  """How many outputs the head has; 0: there is none, None: the source's own."""
  fixed = {"regression": 1, "similarity": 0, "causal_lm": None}
  return fixed.get(config.task.name, len(label_names))


def reads(config: Any) -> Reads:
  """How a tokenizer reads the examples; see `data.Tokenizer`."""
  return _READS.get(config.task.name, "text")


def options(config: Any) -> dict[str, Any]:
  """What the task sets of the model's config."""
  if config.task.name == "token_classification":
    return {"task": "tokens"}
  if config.task.name == "causal_lm":
    return {"task": "lm"}
  return {}


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
  if config.task.name != "similarity":
    return network
  return dataclasses.replace(network, apply=siamese.cosine(network.apply))


def _classification(c: Any, label_names: Sequence[str]) -> tasks.Task:
  return tasks.classification(label_smoothing=c.label_smoothing)


def _regression(c: Any, label_names: Sequence[str]) -> tasks.Task:
  return tasks.regression(
    target_range=tuple(c.target_range) or None, name=c.name
  )


def _tokens(c: Any, label_names: Sequence[str]) -> tasks.Task:
  return tasks.token_classification(
    label_names, label_smoothing=c.label_smoothing
  )


def _causal(c: Any, label_names: Sequence[str]) -> tasks.Task:
  return tasks.causal_lm()


_MAKERS: Mapping[str, Callable[..., tasks.Task]] = types.MappingProxyType(
  {
    "classification": _classification,
    "regression": _regression,
    "similarity": _regression,
    "token_classification": _tokens,
    "causal_lm": _causal,
  }
)
_LABELS: Mapping[str, str] = types.MappingProxyType(
  {
    "classification": "class",
    "regression": "number",
    "similarity": "number",
    "token_classification": "tags",
    "causal_lm": "document",
  }
)
_READS: Mapping[str, Reads] = types.MappingProxyType(
  {"similarity": "apart", "token_classification": "words"}
)
