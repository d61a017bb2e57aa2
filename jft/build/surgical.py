"""Config -> the parts that surgical fine-tuning trains, measured or on record.

The choice is part of `run.json`: a resumed run, and whoever opens its best
model, reads it back and needs neither data nor a gradient.
"""

import dataclasses
import pathlib
from typing import Self

import jax
import jax.numpy as jnp

from jft.build.data import Splits
from jft.net import Net
from jft.tasks import Task, model_inputs
from jft.tuning import depth, surgical
from jft.typing import Any, Array, Batch, Mapping, Params
from jft.writers import read_json


@dataclasses.dataclass(frozen=True)
class Choice:
  """What was chosen: the parts, and {part: ratio} of all of them."""

  parts: tuple[str, ...] = ()
  ratios: Mapping[str, float] = dataclasses.field(default_factory=dict)

  @classmethod
  def of(cls, facts: Mapping[str, Any]) -> Self | None:
    """Reads it from the contents of a `run.json`; None if none was made."""
    if not (saved := facts.get("surgical")):
      return None
    return cls(tuple(saved["parts"]), dict(saved["ratios"]))

  def as_json(self) -> dict[str, Any] | None:
    """Returns what `of` reads under "surgical"."""
    if not self.parts:
      return None
    return {"parts": list(self.parts), "ratios": dict(self.ratios)}

  def describe(self) -> list[str]:
    """Returns a line for each part, for a person."""
    if not self.parts:
      return []
    return [
      "relative gradient norms (the chosen parts are marked):",
      *(
        f"{'*' if part in self.parts else ' ':>3} {part:<12} {ratio:.3e}"
        for part, ratio in self.ratios.items()
      ),
    ]


def saved_choice(workdir: pathlib.Path) -> Choice | None:
  """Returns the choice of a run that has begun, None of a new one."""
  path = workdir / "run.json"
  return Choice.of(read_json(path)) if path.exists() else None


def choose(config: Any, network: Net, task: Task, splits: Splits) -> Choice:
  """Measures the gradients of the first training batches and chooses.

  Args:
    config: of the run; another preset has nothing to choose.
    network: with its new head.
    task: whose loss is differentiated, in inference mode.
    splits: whose training batches are read.

  Raises:
    UserError: before anything is compiled, if there are too few parts.
  """
  tune = config.tune
  if tune.preset != "surgical":
    return Choice()
  parts = jax.eval_shape(surgical.squares, network.params)
  surgical.check(_ordered(parts), tune.blocks)
  gradient = jax.jit(jax.grad(_loss(network, task)))
  batches = splits.train.from_step(0, tune.measure_batches)
  found = surgical.ratios(
    network.params,
    (gradient(network.params, batch) for batch in batches),
  )
  ratios = {part: found[part] for part in _ordered(found)}
  return Choice(surgical.choose(ratios, tune.blocks), ratios)


def _loss(network: Net, task: Task):
  rest = {k: v for k, v in network.variables.items() if k != "params"}

  def loss(params: Params, batch: Batch) -> Array:
    outputs = network.apply({"params": params, **rest}, model_inputs(batch))
    weights = task.loss_weights(batch)
    losses = (task.training_loss or task.loss)(outputs, batch)
    return jnp.sum(losses * weights) / jnp.maximum(weights.sum(), 1)

  return loss


def _ordered(parts: Any) -> list[str]:
  order = [depth.BELOW, *depth.blocks(f"{part}/" for part in parts)]
  return [part for part in (*order, depth.ABOVE) if part in parts]
