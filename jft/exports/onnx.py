"""A network as ONNX, by the extra jax2onnx; checked in onnxruntime."""

import contextlib
import io
import pathlib

import numpy as np

from jft.errors import UserError
from jft.exports import signature, tokenizer, verify
from jft.exports.signature import Signature
from jft.exports.subject import Subject
from jft.exports.target import Plan
from jft.exports.verify import Compared
from jft.typing import Any, Mapping
from jft.writers import write_json

FILE = "model.onnx"
FACTS = "model.json"
_MOST = 2**31 - 2**20  # a protobuf's size


def plan(subject: Subject) -> Plan:
  """Returns the export of an ONNX model with a free batch and length.

  Raises:
    UserError: if the extra is missing, or cannot write one of the operations.
  """
  _extra()
  signature.check_size(subject, "an ONNX file", _MOST)
  made = signature.of(subject)
  # The converter knows no positions of a length that is left open.
  inputs = signature.padded(made) if made.most else dict(made.samples)
  model = _converted(made)
  notes = ()
  if made.most:
    notes = (f"texts are padded to {made.most} tokens, mask 0",)

  def write(folder: pathlib.Path) -> None:
    (folder / FILE).write_bytes(model.SerializeToString())
    write_json(folder / FACTS, signature.facts(subject, made))
    tokenizer.write(subject, folder)

  def compare(folder: pathlib.Path) -> Compared:
    got = _run(folder / FILE, made.output, inputs)
    read = signature.as_read(inputs)
    return verify.outputs(subject, read, {made.output: got})

  opens = (
    f'session = onnxruntime.InferenceSession("{{}}/{FILE}")',
    f'({made.output},) = session.run(["{made.output}"], inputs)  # see {FACTS}',
  )
  return Plan(write, compare, opens, notes)


def _extra() -> None:
  try:
    import jax2onnx  # noqa: F401
    import onnxruntime  # noqa: F401
  except ImportError as error:
    raise UserError(
      f"--to=onnx needs the package {error.name}: pip install 'jft[onnx]'."
    ) from error


def _converted(made: Signature) -> Any:
  import jax
  import jax2onnx

  def run(*arrays: Any) -> Any:
    return made.run(dict(zip(made.names, arrays, strict=True)))[made.output]

  scope = jax.export.SymbolicScope()
  inputs = []
  for name in made.names:
    free: Mapping[Any, Any] = {"b": "B", "n": made.most}
    dims = [free.get(dim, dim) for dim in made.dims[name]]
    shape = jax.export.symbolic_shape(", ".join(map(str, dims)), scope=scope)
    inputs.append(jax.ShapeDtypeStruct(shape, made.dtypes[name]))
  try:
    with contextlib.redirect_stdout(io.StringIO()):  # it prints as it goes
      return jax2onnx.to_onnx(
        run,
        inputs,
        input_names=list(made.names),
        output_names=[made.output],
      )
  except Exception as error:  # the converter has no error of its own
    raise UserError(
      "jax2onnx cannot write this network"
      f" ({type(error).__name__}: {str(error)[:300]}); --to=stablehlo and"
      " --to=savedmodel take any."
    ) from error


def _run(
  path: pathlib.Path, output: str, inputs: dict[str, np.ndarray]
) -> np.ndarray:
  import onnxruntime

  session = onnxruntime.InferenceSession(
    str(path), providers=["CPUExecutionProvider"]
  )
  (got,) = session.run([output], inputs)
  return np.asarray(got)
