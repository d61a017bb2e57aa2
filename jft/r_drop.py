"""R-Drop: two passes with other dropout shall say the same."""

import dataclasses

import jax
import jax.numpy as jnp

from jft import losses
from jft.tasks.task import Task
from jft.typing import Any, ApplyFn, Batch, Callable, Float, Outputs, Variables

AGAIN = "logits_again"
"""The output that holds the second pass's logits."""


def twice(apply: ApplyFn) -> ApplyFn:
  """Returns an apply that, in training, runs every example twice at once.

  Args:
    apply: of a network with dropout.

  Returns:
    The same, whose outputs in training are those of the first pass, and
    `logits_again`, the second's.

  Source: Liang et al., 2021 (arXiv:2106.14448), algorithm 1.
  """

  def of_both(
    variables: Variables,
    inputs: Any,
    *,
    train: bool = False,
    mutable: Any = False,
    **options: Any,
  ) -> Any:
    options |= {"train": train, "mutable": mutable}
    if not train:
      return apply(variables, inputs, **options)
    both = jax.tree.map(lambda x: jnp.concatenate([x, x]), inputs)
    made = apply(variables, both, **options)
    outputs, collections = made if mutable is not False else (made, None)
    first, second = {}, {}
    for name, x in outputs.items():
      first[name], second[name] = jnp.split(x, 2)
    first[AGAIN] = second["logits"]
    return first if mutable is False else (first, collections)

  return of_both


def regularized(task: Task, alpha: float) -> Task:
  """Returns the task with R-Drop's loss in training.

  It is the mean of both passes' losses and alpha times their symmetric KL.

  Args:
    task: of classes, whose network is run `twice`.
    alpha: weight of the KL; the paper takes 1 to 5.

  Source: Liang et al., 2021 (arXiv:2106.14448), equation 4, with the halves of
  its published code.
  """
  once: Callable[..., Any] = task.minimised

  def loss(outputs: Outputs, batch: Batch) -> Float[Any, "b"]:
    again = {**outputs, "logits": outputs[AGAIN]}
    mean = 0.5 * (once(outputs, batch) + once(again, batch))
    apart = losses.symmetric_kl(outputs["logits"], outputs[AGAIN])
    return mean + alpha * apart

  return dataclasses.replace(task, training_loss=loss)
