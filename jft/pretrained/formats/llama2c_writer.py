"""llama2.c's `.bin` of version 0, as its export.py and run.c have it.

Source: llama2.c, export.py, legacy_export.
"""

from pathlib import Path

import numpy as np

from jft import atomic
from jft.errors import UserError
from jft.pretrained.formats import llama2c
from jft.pretrained.formats.llama2c import FIELDS, HEADER, Header
from jft.typing import Mapping


def write(
  path: str | Path, arrays: Mapping[str, np.ndarray], header: Header
) -> None:
  """Writes a file that either appears complete or not at all.

  Args:
    path: where to.
    arrays: {name in llama2.c's model.py: array}; the rotary tables are made.
    header: of version 0.

  Raises:
    UserError: for sizes that no such file has, or a tensor of another shape.
  """
  numbers = [getattr(header, name) for name in FIELDS]
  # The sign says whether the words are scored by their embedding.
  numbers[5] = header.vocab_size if header.tied else -header.vocab_size
  if wrong := llama2c.problem(tuple(numbers)):
    raise UserError(f"llama2.c has no such Llama: {wrong}.")
  with atomic.replacing(path) as file:
    file.write(HEADER.pack(*numbers))
    for name, shape in llama2c.layout(header):
      if name.startswith("freqs_"):
        rows, half = shape
        array = llama2c.rotary_table(name, np.arange(rows), half)
      else:
        array = arrays[name]
      if array.shape != shape:
        raise UserError(
          f"{name} must be {shape} by the header, got {array.shape}."
        )
      file.write(np.ascontiguousarray(array, "<f4").data)
