"""XLA's flags, set by the command where the user has set none."""

import importlib.metadata
import os
from typing import Any

from jft.errors import UserError

CONVOLUTIONS = (
  "--xla_cpu_experimental_ynn_fusion_type=LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT"
)


def for_config(config: Any) -> None:
  """Sets the flags that suit a config's model; before JAX sees a device.

  Image models compute their convolutions with the faster library, which slows
  the matrix products of text models down. Both are bitwise stable from run to
  run; run.json records the flags. The flag belongs to the 0.10 releases of
  jaxlib, and XLA stops at a flag that it does not know.

  `deterministic` adds XLA's flag for the GPU to whatever is set.

  A model that is not there sets nothing: building it says what is wrong.
  """
  _for_convolutions(config)
  if config.deterministic:
    from jft.build.check import DETERMINISTIC

    flags = os.environ.get("XLA_FLAGS", "")
    if DETERMINISTIC not in flags:
      os.environ["XLA_FLAGS"] = f"{flags} {DETERMINISTIC}".strip()


def _for_convolutions(config: Any) -> None:
  from jft import net

  try:
    kind = net.kind_of(config.model.source, config.model.arch or None)
  except UserError:
    return
  known = importlib.metadata.version("jaxlib").startswith("0.10.")
  if known and kind == "image":
    os.environ.setdefault("XLA_FLAGS", CONVOLUTIONS)


def of_run(workdir: str | os.PathLike[str]) -> None:
  """Sets the flags that a run was trained under: the same program again.

  Raises:
    UserError: if there is no run.
  """
  import pathlib

  from jft.workdir import saved_facts

  flags = saved_facts(pathlib.Path(workdir)).get("xla_flags", "")
  if flags:
    os.environ.setdefault("XLA_FLAGS", flags)
