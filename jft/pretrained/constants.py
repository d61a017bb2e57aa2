"""Tensors that a source keeps but jft takes for known."""

import re

import numpy as np

from jft.errors import UserError
from jft.typing import Mapping, Sequence

_TOLERANCE = 1e-4  # of published decimals


def check(
  source: Mapping[str, np.ndarray],
  constants: Mapping[str, Sequence[float]] | None,
) -> None:
  """Checks that tensors hold the values that jft computes with.

  Args:
    source: {name: array}, read one at a time.
    constants: {regex over names: values}; what is not there matters to nobody.

  Raises:
    UserError: for other values: the model was trained on other inputs.

  >>> check({"norm/mean": np.array([0.5])}, {"norm/mean": (0.5,)})
  """
  for regex, want in (constants or {}).items():
    for name in source:
      if re.fullmatch(regex, name) is None:
        continue
      got = np.asarray(source[name], np.float64).ravel()
      if got.shape != (len(want),) or not np.allclose(got, want, _TOLERANCE):
        raise UserError(
          f"{name} holds {got.tolist()[:8]}, expected {list(want)}: this model"
          " normalises its images in another way. Say so: give mean= and std=,"
          " for values from 0 to 1."
        )
