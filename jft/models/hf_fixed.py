"""Settings of transformers' config.json that a family of jft has fixed."""

import reprlib
from typing import Any

from jft.errors import UserError
from jft.typing import Mapping


def check_fixed(
  family: str, config: Mapping[str, Any], fixed: Mapping[str, Any]
) -> None:
  """Checks that a config asks for nothing that a family does not have.

  Args:
    family: for the message, such as "ConvNeXt".
    config: the parsed file; what it leaves out has the family's value.
    fixed: {key: the only value that the family has}.

  Raises:
    UserError: naming the key and both values.
  """
  for key, want in fixed.items():
    if config.get(key, want) != want:
      raise UserError(
        f"config.json: {key} is {reprlib.repr(config[key])}, jft's {family}"
        f" only has {want!r}."
      )
