"""Config -> the teacher beside the student, if there is one."""

import dataclasses

import jax
import jax.numpy as jnp

from jft import data, distill, loading, net, rng, tasks, tree
from jft.errors import UserError
from jft.net import Net
from jft.pretrained.report import Report, Row
from jft.spec import Spec
from jft.typing import Any, Params, Sequence


def with_teacher(config: Any, student: Net, label_names: Sequence[str]) -> Net:
  """Returns the network with the config's teacher, or as it is.

  Args:
    config: of the run.
    student: as the task calls it.
    label_names: of the classes.

  Raises:
    UserError: if the teacher reads other inputs, or answers with other
      classes or to another question.
  """
  c = config.task
  if not c.teacher:
    return student
  dtype = jnp.dtype(config.model.dtype)
  teacher = net.load_pretrained(c.teacher, dtype=dtype)
  if c.name not in tasks.LANGUAGE:
    _check_answers(c.teacher, teacher.spec, label_names)
  _check_inputs(config, student.spec, teacher.spec)
  _check_kind(c.teacher, student.spec, teacher.spec)
  beside: Params = {distill.TEACHER: dict(teacher.variables)}
  if c.teacher_features:
    width, wanted = (_width(student), _width(teacher))
    if width != wanted:
      key = rng.key(config.seed, "projection")
      beside[distill.PROJECTION] = distill.projection(key, width, wanted)
  params = {**student.params, **beside}
  return dataclasses.replace(
    student,
    apply=distill.taught(student.apply, teacher.apply),
    variables={**student.variables, "params": params},
    report=Report((*student.report.rows, *_rows(c.teacher, beside))),
  )


def _check_kind(source: str, student: Spec, teacher: Spec) -> None:
  """Texts are asked one thing each, or one of every token."""
  ours, theirs = (getattr(s.config, "task", "") for s in (student, teacher))
  if ours and theirs and ours != theirs:
    raise UserError(
      f"task.teacher={source!r} was saved for {theirs!r}, and the student is"
      f" for {ours!r}: give a model of the same task."
    )


def _check_answers(source: str, spec: Spec, label_names: Sequence[str]) -> None:
  if spec.num_classes != len(label_names):
    raise UserError(
      f"task.teacher={source!r} has {spec.num_classes or 'no'} classes, the"
      f" data {len(label_names)}: a teacher must know the student's classes."
      " Give a model that was fine-tuned on them (jft export of its run)."
    )
  theirs, ours = tuple(spec.label_names or ()), tuple(label_names)
  if theirs != ours and sorted(theirs) == sorted(ours):
    raise UserError(
      f"task.teacher={source!r} has its classes as {list(theirs)},"
      f" the data {list(ours)}; set data.label_names to the teacher's order."
    )


def _check_inputs(config: Any, student: Spec, teacher: Spec) -> None:
  if student.kind != teacher.kind:
    raise UserError(
      f"task.teacher reads {teacher.kind}s and the student {student.kind}s."
    )
  if student.kind == "image":
    _check_images(student, teacher)
    return
  paths = student.tokenizer, teacher.tokenizer
  vocabularies = [
    None
    if path is None
    else data.load_tokenizer(path, max_length=8).encoder.get_vocab()
    for path in paths
  ]
  if None in vocabularies or vocabularies[0] != vocabularies[1]:
    raise UserError(
      "task.teacher has another tokenizer than the student, so that the same"
      " text is other tokens to it; choose two of one family."
    )
  if teacher.max_tokens and config.data.max_length > teacher.max_tokens:
    raise UserError(
      f"data.max_length={config.data.max_length}: the teacher reads"
      f" {teacher.max_tokens} tokens at most."
    )


def _check_images(student: Spec, teacher: Spec) -> None:
  for field in ("image_size", "mean", "std"):
    ours, theirs = getattr(student, field), getattr(teacher, field)
    if ours != theirs:
      raise UserError(
        f"task.teacher was made for {field}={theirs}, the student for {ours};"
        f" both read the same pictures: set data.{field}, or choose another."
      )
  ours, theirs = (spec.config.in_channels for spec in (student, teacher))
  if ours != theirs:
    raise UserError(
      f"task.teacher reads {theirs} channels and the student {ours}."
    )


def _width(network: Net) -> int:
  inputs = loading.input_shapes(network.spec, network.spec.config)
  made = jax.eval_shape(network.apply, network.variables, inputs)
  return made["features"].shape[-1]


def _rows(source: str, beside: Params) -> tuple[Row, ...]:
  return tuple(
    Row(
      f"params/{name}",
      None,
      "reinit" if name.startswith(distill.PROJECTION) else "loaded",
      tuple(leaf.shape),
      None,
      f"teacher {source}",
    )
    for name, leaf in tree.flatten(beside).items()
  )
