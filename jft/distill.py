"""Knowledge distillation: a frozen teacher beside the student, in training.

The teacher's weights are `params["teacher"]`, and where the widths of the
features differ, `params["projection"]` takes the student's to the teacher's.
The student knows nothing of either.
"""

import dataclasses

import jax
import jax.numpy as jnp

from jft import losses
from jft.errors import UserError
from jft.tasks import per_token
from jft.tasks.task import Task
from jft.typing import (
  Any,
  ApplyFn,
  Array,
  Batch,
  Callable,
  Float,
  Key,
  Outputs,
  Params,
  Variables,
)

TEACHER = "teacher"
PROJECTION = "projection"
BESIDE = (TEACHER, PROJECTION)
"""Top-level names of params that are not the student's."""

LOGITS = "teacher_logits"
FEATURES = "teacher_features"
PROJECTED = "projected_features"


def taught(apply: ApplyFn, teacher: ApplyFn) -> ApplyFn:
  """Returns the student's apply that, in training, runs the teacher as well.

  The teacher runs without dropout, and no gradient flows through it. Where it
  has collections, such as batch statistics, they are in its tree too:
  `params["teacher"]` is the teacher's variables.

  Args:
    apply: the student's.
    teacher: the teacher's, on the same inputs.

  Returns:
    The same, whose outputs in training have `teacher_logits`,
    `teacher_features` and `projected_features` too.
  """

  def both(
    variables: Variables,
    inputs: Any,
    *,
    train: bool = False,
    mutable: Any = False,
    **options: Any,
  ) -> Any:
    params = variables["params"]
    own = {**variables, "params": student(params)}
    options |= {"train": train, "mutable": mutable}
    made = apply(own, inputs, **options)
    if not train:
      return made
    outputs, collections = made if mutable is not False else (made, None)
    shown = teacher(params[TEACHER], inputs, train=False)
    outputs = {**outputs, **_compared(outputs, shown, params.get(PROJECTION))}
    return outputs if mutable is False else (outputs, collections)

  return both


def student(params: Params) -> Params:
  """Returns params without the teacher's and the projection."""
  return {name: x for name, x in params.items() if name not in BESIDE}


def projection(key: Key, width: int, wanted: int) -> Params:
  """Returns a fresh linear map between features, {"kernel": Float["d e"]}.

  Args:
    key: draws it.
    width: of the student's features.
    wanted: of the teacher's.

  Source: Romero et al., 2015 (arXiv:1412.6550), the regressor.
  """
  draw = jax.nn.initializers.lecun_normal()
  return {"kernel": draw(key, (width, wanted), jnp.float32)}


def distilled(
  task: Task,
  *,
  alpha: float = 0.5,
  temperature: float = 2.0,
  feature_weight: float = 0.0,
) -> Task:
  """Returns the task with what a teacher says in training's loss.

  It is (1 - alpha) of the task's own loss, alpha of `losses.distillation`, and
  feature_weight times the mean square of the features' difference. Where every
  token has logits, both are an example's mean over the tokens asked of, and the
  features are the tokens' states.

  Args:
    task: of classes, of examples or of tokens, whose network is `taught`.
    alpha: share of what the teacher says against what the labels say.
    temperature: of its probabilities.
    feature_weight: of the features.

  Raises:
    UserError: if nothing would come from the teacher.

  Source: Hinton et al., 2015 (arXiv:1503.02531); Romero et al., 2015
  (arXiv:1412.6550), equation 3, for the features.
  """
  if not (alpha or feature_weight):
    raise UserError(
      "alpha=0 and feature_weight=0: the teacher would have no say."
    )
  hard: Callable[..., Any] = task.minimised

  def loss(outputs: Outputs, batch: Batch) -> Float[Any, "b"]:
    total = (1 - alpha) * hard(outputs, batch)
    if alpha:
      soft = losses.distillation(
        *_shared(outputs["logits"], outputs[LOGITS]), temperature=temperature
      )
      total += alpha * _of_examples(soft, batch)
    if feature_weight:
      gap = losses.squared_error(outputs[PROJECTED], outputs[FEATURES])
      total += feature_weight * _of_examples(gap.mean(-1), batch)
    return total

  return dataclasses.replace(task, training_loss=loss)


def _of_examples(values: Array, batch: Batch) -> Float[Array, "b"]:
  return values if values.ndim == 1 else per_token.mean(values, batch["label"])


def _shared(own: Array, other: Array) -> tuple[Array, Array]:
  """Returns the logits that both have.

  Models of one tokenizer may have rows for words that it does not have: their
  numbers are rounded up, each family member's to another.
  """
  both = min(own.shape[-1], other.shape[-1])
  return own[..., :both], other[..., :both]


def _compared(
  outputs: Outputs, shown: Outputs, projection: Params | None
) -> Outputs:
  shown = jax.lax.stop_gradient(shown)
  seen = "hidden" if outputs["logits"].ndim == 3 else "features"
  features = outputs[seen].astype(jnp.float32)
  if projection is not None:
    features = features @ projection["kernel"]
  return {
    LOGITS: shown["logits"],
    FEATURES: shown[seen],
    PROJECTED: features,
  }
