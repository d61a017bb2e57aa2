"""The JSON record of a checkpoint: what it is, and the host's side of a run."""

import dataclasses
import json
import math
from collections.abc import Mapping
from typing import Any, Self

from jft.errors import UserError, did_you_mean


@dataclasses.dataclass(frozen=True)
class Record:
  """What is known of a checkpoint without reading its arrays.

  Attributes:
    step: completed updates.
    attempt: how many rollbacks came before.
    metrics: {name: number}; may hold nan and inf.
    leaves: {name: dtype and shape} of the whole state.
    frozen: the name of its frozen weights, "" for none.
    extra: the caller's own, as JSON gives it back.
  """

  step: int
  attempt: int
  metrics: dict[str, float]
  leaves: dict[str, str]
  frozen: str = ""
  extra: dict[str, Any] = dataclasses.field(default_factory=dict)

  def to_json(self) -> dict[str, Any]:
    """Returns what `json.dumps` takes."""
    # JSON has no nan and no inf: such metrics are text there.
    metrics = {
      name: value if math.isfinite(value) else str(value)
      for name, value in self.metrics.items()
    }
    return {**vars(self), "metrics": metrics}

  @classmethod
  def from_json(cls, saved: Mapping[str, Any]) -> Self:
    """Returns the record that `to_json` was given.

    Raises:
      UserError: if it was given something else.
    """
    try:
      record = cls(**{**saved, "metrics": numbers(saved["metrics"], None)})
    except (TypeError, ValueError, KeyError, AttributeError) as error:
      raise UserError(f"the record is malformed: {error}.") from error
    except OverflowError as error:
      raise UserError(
        f"a metric of the record is too large: {error}."
      ) from error
    kinds = {"step": int, "attempt": int, "leaves": dict, "frozen": str}
    for name, kind in {**kinds, "extra": dict}.items():
      if type(getattr(record, name)) is not kind:
        raise UserError(
          f"{name} of the record must be {kind.__name__}, got"
          f" {type(getattr(record, name)).__name__}."
        )
    return record

  def repeats(self, old: "Record") -> bool:
    """Returns whether saving this on top of `old` would change nothing."""
    return (self.step, self.attempt, self.leaves) == (
      old.step,
      old.attempt,
      old.leaves,
    ) and (not self.metrics or str(self.metrics) == str(old.metrics))


def numbers(
  metrics: Mapping[str, Any] | None, best: str | None
) -> dict[str, float]:
  """Returns metrics as Python floats, from arrays, scalars or text.

  Args:
    metrics: {name: number}, or None.
    best: a metric that must be among them, if there are any.

  Raises:
    UserError: if it is not.
  """
  found = {name: float(value) for name, value in (metrics or {}).items()}
  if best and found and best not in found:
    raise UserError(
      f"best={best!r} is not among the metrics {sorted(found)}."
      f"{did_you_mean(best, found)}"
    )
  return found


def json_copy(extra: Mapping[str, Any] | None) -> dict[str, Any]:
  """Returns what will be read back of `extra`.

  Raises:
    UserError: if it is not a mapping that JSON can hold.

  >>> json_copy({"offset": 3, "shape": (1, 2)})
  {'offset': 3, 'shape': [1, 2]}
  """
  try:
    return json.loads(json.dumps(dict(extra or {})))
  except (TypeError, ValueError, RecursionError) as error:
    raise UserError(
      f"extra must hold what JSON can (numbers, text, lists, dicts): {error}."
    ) from error
