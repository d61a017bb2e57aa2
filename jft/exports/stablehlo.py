"""A network as StableHLO: one file that any later JAX runs, without jft."""

import pathlib

import jax

from jft.errors import UserError
from jft.exports import signature, tokenizer, verify
from jft.exports.signature import Signature
from jft.exports.subject import Subject
from jft.exports.target import Plan
from jft.exports.verify import Compared
from jft.typing import Any
from jft.writers import write_json

PLATFORMS = ("cpu", "tpu", "cuda")
FILE = "model.stablehlo"
FACTS = "model.json"
_MOST = 2**31 - 2**20  # a flatbuffer's offsets


def plan(subject: Subject) -> Plan:
  """Returns the export of a program for `PLATFORMS`, of any batch size.

  Raises:
    UserError: if the weights do not fit, or the program has no such form.
  """
  signature.check_size(subject, "a serialized program of JAX", _MOST)
  made = signature.of(subject)
  exported, free = _lowered(made)
  try:
    data = exported.serialize()
  except ImportError as error:
    raise UserError(
      "serialized programs of JAX need flatbuffers: pip install flatbuffers."
    ) from error
  notes = () if free else ("texts have a fixed number of tokens",)

  def write(folder: pathlib.Path) -> None:
    (folder / FILE).write_bytes(data)
    found = {
      **signature.facts(subject, made),
      "platforms": list(exported.platforms),
      "calling_convention": exported.calling_convention_version,
      "jax": jax.__version__,
    }
    write_json(folder / FACTS, found)
    tokenizer.write(subject, folder)

  def compare(folder: pathlib.Path) -> Compared:
    again = jax.export.deserialize(bytearray((folder / FILE).read_bytes()))
    inputs = dict(made.samples) if free else signature.padded(made)
    got = jax.device_get(again.call(inputs))
    return verify.outputs(subject, signature.as_read(inputs), got)

  opens = (
    f'program = jax.export.deserialize(open("{{}}/{FILE}", "rb").read())',
    f'{made.output} = program.call(inputs)["{made.output}"]  # see {FACTS}',
  )
  return Plan(write, compare, opens, notes)


def _lowered(made: Signature) -> tuple[Any, bool]:
  """Returns the program, and whether texts of any length go in."""
  try:
    return _export(made, ""), True
  except UserError:
    raise
  except Exception:  # what depends on the length fails in many ways
    if not made.most:
      raise
    return _export(made, str(made.most)), False


def _export(made: Signature, length: str) -> Any:
  scope = jax.export.SymbolicScope(
    [f"n <= {made.most}"] if made.most and not length else []
  )
  shapes = {}
  for name in made.names:
    dims = ", ".join(
      length if length and dim == "n" else str(dim) for dim in made.dims[name]
    )
    shape = jax.export.symbolic_shape(dims, scope=scope)
    shapes[name] = jax.ShapeDtypeStruct(shape, made.dtypes[name])
  return jax.export.export(jax.jit(made.run), platforms=PLATFORMS)(shapes)
