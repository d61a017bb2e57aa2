"""A network as a function of named arrays, for what runs without jft."""

import dataclasses

import jax
import numpy as np

from jft import tree
from jft.errors import UserError
from jft.exports import companions, verify
from jft.exports.subject import Subject
from jft.typing import Any, Callable, Mapping


@dataclasses.dataclass(frozen=True)
class Signature:
  """What goes into a program and what comes out.

  Attributes:
    run: {input name: array} -> {output name: array}, the weights inside.
    names: of the inputs, in order.
    dtypes: {input name: dtype}.
    dims: {input name: sizes, "b" and "n" where any will do}.
    most: tokens of the longest text, 0 for images.
    samples: {input name: array}, real inputs.
    output: the name of what comes out.
  """

  run: Callable[[Mapping[str, Any]], dict[str, Any]]
  names: tuple[str, ...]
  dtypes: Mapping[str, np.dtype]
  dims: Mapping[str, tuple[int | str, ...]]
  most: int
  samples: Mapping[str, np.ndarray]
  output: str


def of(subject: Subject) -> Signature:
  """Returns a network's signature: "image", or the arrays of a text."""
  inputs = verify.inputs_of(subject)
  single = not isinstance(inputs, Mapping)
  named = {"image": inputs} if single else dict(inputs)
  config = subject.spec.config
  if subject.own is None and not getattr(config, "segments", 0):
    named.pop("token_type_ids", None)
  step = verify.outputs_of(subject.apply)
  variables = jax.device_get(subject.variables)

  def run(arrays: Mapping[str, Any]) -> dict[str, Any]:
    return step(variables, arrays["image"] if single else dict(arrays))

  text = subject.spec.kind == "text"
  dims = {
    name: ("b", "n", *x.shape[2:]) if text else ("b", *x.shape[1:])
    for name, x in named.items()
  }
  most = 0
  if text:
    most = subject.max_length or subject.spec.max_tokens
    most = most or getattr(config, "max_tokens", 0)
  shapes = jax.eval_shape(run, named)
  (output,) = shapes
  return Signature(
    run,
    tuple(named),
    {name: np.dtype(x.dtype) for name, x in named.items()},
    dims,
    most,
    {name: np.asarray(x) for name, x in named.items()},
    output,
  )


def padded(made: Signature) -> dict[str, np.ndarray]:
  """Returns the samples with as many tokens as the longest text may have."""
  return {
    name: np.pad(x, ((0, 0), (0, made.most - x.shape[1])))
    for name, x in made.samples.items()
  }


def as_read(inputs: Mapping[str, np.ndarray]) -> Any:
  """Returns named inputs as the network itself reads them."""
  return inputs["image"] if set(inputs) == {"image"} else dict(inputs)


def facts(subject: Subject, signature: Signature) -> dict[str, Any]:
  """Returns what a user of the program has to know, as JSON values."""
  return {
    "inputs": {
      name: {
        "shape": list(signature.dims[name]),
        "dtype": str(signature.dtypes[name]),
      }
      for name in signature.names
    },
    "output": signature.output,
    **companions.facts(subject),
  }


def check_size(subject: Subject, what: str, most: int) -> None:
  """Checks that the weights fit into one file.

  Raises:
    UserError: saying how large they are.
  """
  size = tree.nbytes(subject.variables)
  if size > most:
    raise UserError(
      f"{what} holds up to {most / 2**30:.1f} GiB in one file, the weights are"
      f" {size / 2**30:.1f} GiB; export another way, or cast them:"
      " jft.surgery.cast."
    )
