"""Config -> the task, and what it asks of data and model."""

import dataclasses
import types

from jft import siamese, tasks
from jft.data.text import Reads
from jft.errors import UserError
from jft.net import Net
from jft.typing import Any, Callable, Mapping, Sequence


def make_task(config: Any) -> tasks.Task:
  """Returns the loss, metrics and reports of a config's task."""
  return _MAKERS[config.task.name](config.task)


def label_kind(config: Any) -> str:
  """What the data's labels must be: "class", "number" or "tags"."""
  return _LABELS[config.task.name]


def outputs(config: Any, label_names: Sequence[str]) -> int:
  """How many outputs the head has; 0 where there is none."""
  fixed = {"regression": 1, "similarity": 0}
  return fixed.get(config.task.name, len(label_names))


def reads(config: Any) -> Reads:
  """How a tokenizer reads the examples; see `data.Tokenizer`."""
  return "apart" if config.task.name == "similarity" else "text"


def fitted(config: Any, network: Net) -> Net:
  """Returns the network as the task calls it.

  Raises:
    UserError: if the task is not one for what the model reads.
  """
  if config.task.name != "similarity":
    return network
  if network.spec.kind != "text":
    raise UserError(
      "task.name='similarity' compares texts, and"
      f" {network.spec.source or network.spec.preset!r} reads"
      f" {network.spec.kind}s."
    )
  return dataclasses.replace(network, apply=siamese.cosine(network.apply))


def _classification(c: Any) -> tasks.Task:
  return tasks.classification(label_smoothing=c.label_smoothing)


def _regression(c: Any) -> tasks.Task:
  return tasks.regression(
    target_range=tuple(c.target_range) or None, name=c.name
  )


_MAKERS: Mapping[str, Callable[[Any], tasks.Task]] = types.MappingProxyType(
  {
    "classification": _classification,
    "regression": _regression,
    "similarity": _regression,
  }
)
_LABELS: Mapping[str, str] = types.MappingProxyType(
  {
    "classification": "class",
    "regression": "number",
    "similarity": "number",
  }
)
