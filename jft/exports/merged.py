"""A subject as one float network: codes made float, adapters worked in."""

import dataclasses

from jft import adapters, quantize
from jft.exports import verify
from jft.exports.subject import Subject
from jft.net import Net
from jft.pretrained.report import Report
from jft.tuning import quantized


def merged(subject: Subject) -> Subject:
  """Returns the subject as one plain network, and says so in its notes.

  Args:
    subject: with adapters or without, its kernels quantised or not.

  Raises:
    UserError: if they cannot be merged, or the outputs would differ.
  """
  subject = as_float(subject)
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


def as_float(subject: Subject) -> Subject:
  """Returns the subject with float32 kernels, of what its codes stand for.

  One without codes is returned as it is; the other's notes say so.
  """
  if not quantized.is_quantized(subject.variables["params"]):
    return subject
  beside = subject.beside
  whole = Net(subject.apply, subject.variables, subject.spec, Report(()))
  net = beside.net if beside else whole
  made = quantize.dequantize(net)
  note = (
    "made float32 again: kernels kept as codes of 8 or 4 bits, as they were in"
    " training, not as they were loaded"
  )
  return dataclasses.replace(
    subject,
    variables=made.variables,
    beside=beside and dataclasses.replace(beside, net=made),
    notes=(*subject.notes, note),
  )
