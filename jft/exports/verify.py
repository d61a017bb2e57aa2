"""Is what was written the same network? Read again, and run on real inputs."""

import dataclasses
import pathlib

import jax
import jax.numpy as jnp
import numpy as np

from jft import data, net, tree
from jft.errors import UserError
from jft.exports import samples, tokenizer
from jft.exports.subject import Subject
from jft.spec import Spec
from jft.typing import Any, ApplyFn, Callable, Mapping, Variables

TOLERANCE = 1e-4  # of the largest output; of bfloat16 a few of its steps
_COARSE = 3e-2


@dataclasses.dataclass(frozen=True)
class Compared:
  """What was compared, and how far apart it was.

  Attributes:
    examples: how many, and where they are from.
    difference: of the outputs, as a share of the largest.
    tolerance: what it may be.
  """

  examples: str
  difference: float
  tolerance: float


def outputs_of(apply: ApplyFn) -> Callable[[Variables, Any], dict[str, Any]]:
  """Returns (variables, inputs) -> `logits`; `features` without a head."""

  def run(variables: Variables, inputs: Any) -> dict[str, Any]:
    made = apply(variables, inputs, train=False)
    name = "logits" if "logits" in made else "features"
    return {name: made[name].astype(jnp.float32)}

  return run


def inputs_of(subject: Subject, spec: Spec | None = None) -> Any:
  """Returns the samples as the subject reads them, or as another spec says."""
  return samples.inputs(
    subject.samples,
    subject.spec if spec is None else spec,
    subject.max_length,
    () if spec is not None else subject.new_tokens,
    subject.reads,
  )


def expected(subject: Subject, inputs: Any) -> tuple[dict[str, Any], float]:
  """Returns the network's own outputs, and how far others may be from them."""
  run = outputs_of(subject.apply)
  traced = jax.eval_shape(
    lambda v, x: subject.apply(v, x, train=False), subject.variables, inputs
  )
  name = "logits" if "logits" in traced else "features"
  coarse = traced[name].dtype.itemsize < 4
  made = jax.device_get(jax.jit(run)(subject.variables, inputs))
  return made, _COARSE if coarse else TOLERANCE


def folder(subject: Subject, path: pathlib.Path) -> Compared:
  """Loads a folder of weights as any user would, and compares all of it.

  Raises:
    UserError: naming the first difference.
  """
  # That words are to be scored, transformers' files do not say by themselves.
  words = getattr(subject.spec.config, "task", "") == "mlm"
  options: dict[str, Any] = {"task": "mlm"} if words else {}
  again = net.load_pretrained(str(path), arch=subject.own, **options)
  _leaves(subject.variables, again.variables)
  if subject.own is None:
    _spec(subject.spec, again.spec)
    _same_words(subject, again.spec)
  inputs, theirs = inputs_of(subject), inputs_of(subject, again.spec)
  _same_inputs(inputs, theirs)
  got = jax.device_get(
    jax.jit(outputs_of(again.apply))(again.variables, theirs)
  )
  return outputs(subject, inputs, got)


def outputs(subject: Subject, inputs: Any, got: Mapping[str, Any]) -> Compared:
  """Compares outputs for the same inputs.

  Raises:
    UserError: if they differ by more than rounding, or another class wins.
  """
  want, tolerance = expected(subject, inputs)
  ((name, mine),) = want.items()
  theirs = np.asarray(got[name], np.float32)
  if theirs.shape != mine.shape:
    raise UserError(_refused(f"{name} are {theirs.shape}, not {mine.shape}"))
  scale = float(np.abs(mine).max()) or 1.0
  apart = float(np.abs(theirs - mine).max()) / scale
  if not apart <= tolerance:  # so that NaN is refused
    raise UserError(
      _refused(
        f"{name} differ by {apart:.2g} of the largest, more than {tolerance:g}"
      )
    )
  if name == "logits" and mine.shape[-1] > 1:
    _same_winners(mine, theirs, tolerance * scale)
  count = len(jax.tree.leaves(inputs)[0])
  origin = subject.samples.origin
  told = origin if origin[0].isdigit() else f"{count} {origin}"
  return Compared(told, apart, tolerance)


def _same_winners(a: np.ndarray, b: np.ndarray, close: float) -> None:
  first, second = a.argmax(-1), b.argmax(-1)
  gap = a.max(-1) - np.take_along_axis(a, second[..., None], -1)[..., 0]
  if np.any((first != second) & (gap > close)):
    raise UserError(_refused("another class wins"))


def _leaves(ours: Variables, theirs: Variables) -> None:
  a, b = tree.flatten(ours), tree.flatten(theirs)
  if a.keys() != b.keys():
    name = min(a.keys() ^ b.keys())
    where = "only here" if name in a else "only there"
    raise UserError(_refused(f"the variable {name} is {where}"))
  for name, value in a.items():
    mine, other = np.asarray(value), np.asarray(b[name])
    if not np.array_equal(mine.astype(other.dtype), other, equal_nan=True):
      raise UserError(_refused(f"the variable {name} has other values"))


def _spec(ours: Spec, theirs: Spec) -> None:
  for field in ("family", "kind", "num_classes", "label_names"):
    mine, other = getattr(ours, field), getattr(theirs, field)
    if mine != other:
      raise UserError(_refused(f"{field} is {other!r}, not {mine!r}"))


def _same_words(ours: Subject, theirs: Spec) -> None:
  if ours.spec.tokenizer is None:
    return
  if theirs.tokenizer is None:
    raise UserError(_refused("there is no tokenizer"))
  mine = tokenizer.encoder_of(ours)
  other = data.load_tokenizer(theirs.tokenizer, mine.max_length)
  text = tokenizer.differing(mine, other)
  if text is not None:
    raise UserError(_refused(f"the tokenizer reads {text!r} as other tokens"))


def _same_inputs(ours: Any, theirs: Any) -> None:
  a, b = jax.tree.leaves(ours), jax.tree.leaves(theirs)
  for mine, other in zip(a, b, strict=True):
    same = mine.shape == other.shape and np.allclose(mine, other, 1e-5, 1e-5)
    if not same:
      raise UserError(
        _refused("the same example is prepared differently by what was written")
      )


def _refused(what: str) -> str:
  return (
    f"the export is refused, nothing was kept: read again, {what}. Please"
    " report it with the command."
  )
