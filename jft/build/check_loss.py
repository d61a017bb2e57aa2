"""Contradictions between losses, weights, sampling and distillation."""

from jft import tasks
from jft.build.objective import NAMES
from jft.errors import UserError, did_you_mean
from jft.typing import Any

_CLASSES = ("classification", "token_classification")
_WEIGHED = (*_CLASSES, "multi_label")


def check_loss(config: Any) -> None:
  """Raises UserError naming the first key that the loss cannot have."""
  _check_names(config.task)
  _check_smoothing(config.task)
  _check_weights(config.task)
  _check_sampling(config)
  _check_retrieval(config)
  _check_columns(config)
  _check_two_passes(config)
  _check_teacher(config)


def _check_names(task: Any) -> None:
  known = NAMES.get(task.name, ())
  for entry in task.mix:
    if not (
      isinstance(entry, tuple | list)
      and len(entry) == 2
      and isinstance(entry[1], int | float)
      and entry[1] > 0
    ):
      raise UserError(
        f"task.mix has {entry!r}: expected (name of a loss, weight above 0)."
      )
  mixed = [name for name, _ in task.mix]
  if task.mix and (task.loss or task.name == "retrieval"):
    raise UserError(
      f"task.mix={tuple(task.mix)} takes the place of task.loss, and"
      " 'retrieval' has no sum of losses: give one of the two."
    )
  for name in [task.loss, *mixed]:
    if name and name not in known:
      raise UserError(
        f"task.loss={name!r}: task.name={task.name!r} has"
        f" {', '.join(known) or 'one loss, its own'}."
        + did_you_mean(str(name), known)
      )


def _check_smoothing(task: Any) -> None:
  if not task.label_smoothing:
    return
  if task.name not in (*_CLASSES, *tasks.LANGUAGE):
    raise UserError(
      f"task.label_smoothing is of one class or word among many, which"
      f" task.name={task.name!r} does not have."
    )
  if task.loss not in ("", "cross_entropy") or (
    task.mix and "cross_entropy" not in dict(task.mix)
  ):
    raise UserError(
      "task.label_smoothing is of 'cross_entropy', which"
      f" task.loss={task.loss or 'mix'!r} is not; set it to 0."
    )


def _check_weights(task: Any) -> None:
  for key, names in (
    ("class_balance", _WEIGHED),
    ("class_weights", _CLASSES),
    ("logit_adjustment", ("classification",)),
    ("pos_weight", ("multi_label",)),
  ):
    if task[key] and task.name not in names:
      raise UserError(
        f"task.{key} is of task.name={' or '.join(map(repr, names))}, not of"
        f" {task.name!r}."
      )
  for key in ("class_weights", "pos_weight"):
    if not all(isinstance(x, int | float) and x > 0 for x in task[key]):
      raise UserError(
        f"task.{key}={tuple(task[key])} must be numbers above 0, one a class."
      )
    if task[key] and task.class_balance:
      raise UserError(
        f"task.{key} and task.class_balance both say what a class weighs; give"
        " one of the two."
      )
  if task.name == "multi_label" and task.class_balance == "effective":
    raise UserError(
      "task.class_balance='effective' is of one class an example;"
      " 'multi_label' takes 'balanced'."
    )
  weighed = task.pos_weight or task.class_balance
  if task.name == "multi_label" and weighed and (task.loss or task.mix):
    raise UserError(
      "task.pos_weight and task.class_balance of 'multi_label' are of its"
      " cross-entropy; leave task.loss and task.mix empty, or use focal_alpha."
    )


def _check_sampling(config: Any) -> None:
  sampling, task = config.data.sampling, config.task
  if sampling == "natural":
    return
  if task.name not in ("classification", "ordinal"):
    raise UserError(
      f"data.sampling={sampling!r} draws by class, and task.name={task.name!r}"
      " has no one class an example; set it to 'natural'."
    )
  twice = [key for key in ("class_balance", "logit_adjustment") if task[key]]
  if twice:
    raise UserError(
      f"data.sampling={sampling!r} and task.{twice[0]} both make up for rare"
      " classes, one by how often they come and one by counts that this"
      " changes; use one of the two."
    )


def _check_retrieval(config: Any) -> None:
  task, data = config.task, config.data
  if task.loss == "triplet" and not data.negative_column:
    raise UserError(
      "task.loss='triplet' needs a text that does not belong: give"
      " data.negative_column, or use 'ranking'."
    )
  if task.name != "retrieval":
    if data.negative_column:
      raise UserError(
        f"data.negative_column is of task.name='retrieval', not of"
        f" {task.name!r}."
      )
    return
  if not data.text_pair_column:
    raise UserError(
      "task.name='retrieval' reads two texts that belong together: give"
      " data.text_pair_column."
    )
  if config.tune.head_first or config.model.head_widths:
    raise UserError(
      "task.name='retrieval' has no head: leave tune.head_first and"
      " model.head_widths alone."
    )
  if config.train.accumulate > 1 and task.loss != "triplet":
    raise UserError(
      f"train.accumulate={config.train.accumulate}: a query is compared with"
      " the passages of its batch, and parts of a batch do not see each"
      " other; set it to 1."
    )


def _check_columns(config: Any) -> None:
  if config.data.label_columns and config.task.name != "multi_label":
    raise UserError(
      "data.label_columns is of task.name='multi_label'; set data.label_column."
    )


def _check_two_passes(config: Any) -> None:
  task = config.task
  if not task.r_drop:
    return
  if task.name != "classification":
    raise UserError(
      f"task.r_drop={task.r_drop} compares the classes' probabilities:"
      f" task.name={task.name!r} has none of them; set it to 0."
    )
  if config.tune.preset == "surgical":
    raise UserError(_SURGICAL.format("r_drop"))


def _check_teacher(config: Any) -> None:
  task = config.task
  if not task.teacher:
    return
  if task.name not in (*_CLASSES, *tasks.LANGUAGE):
    raise UserError(
      "task.teacher tells of classes or words;"
      f" task.name={task.name!r} is another task."
    )
  if config.model.new_tokens:
    raise UserError(
      "model.new_tokens are no words of task.teacher, which reads the same"
      " tokens; leave one of them out."
    )
  if not (task.teacher_alpha or task.teacher_features):
    raise UserError(
      "task.teacher_alpha=0 and task.teacher_features=0: the teacher would have"
      " no say; raise one, or leave task.teacher empty."
    )
  if config.tune.preset == "surgical":
    raise UserError(_SURGICAL.format("teacher"))


_SURGICAL = (
  "tune.preset='surgical' measures the plain loss, which task.{0} changes;"
  " choose another preset, or leave task.{0} out."
)
