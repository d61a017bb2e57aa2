"""A network as TensorFlow's SavedModel, by the extra orbax-export."""

import pathlib

import numpy as np

from jft.errors import UserError
from jft.exports import plain_erf, signature, tokenizer, verify
from jft.exports.signature import Signature
from jft.exports.subject import Subject
from jft.exports.target import Plan
from jft.exports.verify import Compared
from jft.writers import write_json

FACTS = "model.json"
SIGNATURE = "serving_default"
_MOST = 2**31 - 2**20


def plan(subject: Subject) -> Plan:
  """Returns the export of a SavedModel with a free batch and length.

  Raises:
    UserError: if the extra is missing.
  """
  _extra()
  signature.check_size(subject, "a SavedModel's program", _MOST)
  made = signature.of(subject)

  def write(folder: pathlib.Path) -> None:
    _save(made, folder)
    write_json(folder / FACTS, signature.facts(subject, made))
    tokenizer.write(subject, folder)

  def compare(folder: pathlib.Path) -> Compared:
    read = signature.as_read(made.samples)
    return verify.outputs(subject, read, _run(made, folder))

  opens = (
    f'run = tf.saved_model.load("{{}}").signatures["{SIGNATURE}"]',
    f'{made.output} = run(**inputs)["{made.output}"]  # see {FACTS}',
  )
  return Plan(write, compare, opens)


def _extra() -> None:
  try:
    import orbax.export  # noqa: F401  # pyright: ignore
    import tensorflow  # noqa: F401
  except ImportError as error:
    raise UserError(
      f"--to=savedmodel needs the package {error.name}: pip install"
      " 'jft[savedmodel]'."
    ) from error


def _save(made: Signature, folder: pathlib.Path) -> None:
  import tensorflow as tf
  from orbax.export import (  # pyright: ignore[reportMissingImports]
    ExportManager,
    JaxModule,
    ServingConfig,
  )

  shapes = {
    name: ", ".join(str(dim) for dim in made.dims[name]) for name in made.names
  }
  specs = {
    name: tf.TensorSpec(
      [None if isinstance(dim, str) else dim for dim in made.dims[name]],
      made.dtypes[name],
      name=name,
    )
    for name in made.names
  }
  module = JaxModule(
    {},
    lambda _, inputs: plain_erf.replaced(made.run)(inputs),
    input_polymorphic_shape=shapes,
    jit_compile=False,
    jax2tf_kwargs={
      "polymorphic_constraints": [f"n <= {made.most}"] if made.most else []
    },
  )
  manager = ExportManager(
    module, [ServingConfig(SIGNATURE, input_signature=[specs])]
  )
  manager.save(str(folder))


def _run(made: Signature, folder: pathlib.Path) -> dict[str, np.ndarray]:
  import tensorflow as tf

  run = tf.saved_model.load(str(folder)).signatures[SIGNATURE]
  inputs = {name: tf.constant(x) for name, x in made.samples.items()}
  try:
    return {name: x.numpy() for name, x in run(**inputs).items()}
  except tf.errors.OpError as error:
    raise UserError(
      f"TensorFlow {tf.__version__} cannot run this network's program"
      f" ({str(error)[:300]}); --to=stablehlo takes any."
    ) from error
