"""A subject whose adapters are worked into its weights first."""

import dataclasses

from jft import adapters
from jft.errors import UserError
from jft.exports import verify
from jft.exports.subject import Subject
from jft.tuning import quantized


def merged(subject: Subject) -> Subject:
  """Returns the subject as one plain network, and says so in its notes.

  Args:
    subject: with adapters or without.

  Raises:
    UserError: if they cannot be merged, or the outputs would differ.
  """
  if quantized.is_quantized(subject.variables["params"]):
    raise UserError(
      f"{subject.title}: its kernels are quantised, and no other library reads"
      " these codes. Make them float by jft.quantize.dequantize(net), merge,"
      " and export what comes out; or export the adapter alone, --to=peft."
    )
  if subject.beside is None:
    return subject
  net = subject.beside.net
  made = adapters.merge(net, verify.inputs_of(subject))
  names = ", ".join(
    f"{name} ({type(net.methods[name]).__name__})" for name in net.active
  )
  note = (
    f"merged into the weights: the adapter {names}; outputs differ by"
    f" {made.difference:.1e} of the largest"
  )
  return dataclasses.replace(
    subject,
    variables=made.variables,
    beside=None,
    notes=(*subject.notes, note),
  )
