"""What is fuzzed: a function that reads bytes, and sound files."""

import dataclasses
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from chaos import mutate


def nothing(folder: pathlib.Path) -> None:
  """Prepares no files."""


@dataclasses.dataclass(frozen=True)
class Reader:
  """Reads one format.

  Args:
    name: in the table, and the seed of its inputs.
    seeds: returns sound files.
    read: (folder, bytes) -> anything; may write the bytes into the folder.
    kind: "bytes", "text" or "json"; see `mutate.mutate`.
    tokens: words of the format.
    inputs: how many the long form tries.
    prepare: puts the files that lie beside the input into the folder.
    make: (generator, seeds) -> input, in place of `mutate.mutate`.
  """

  name: str
  seeds: Callable[[], Sequence[bytes]]
  read: Callable[[pathlib.Path, bytes], Any]
  kind: str = "bytes"
  tokens: Sequence[bytes] = ()
  inputs: int = 3000
  prepare: Callable[[pathlib.Path], None] = nothing
  make: Callable[[np.random.Generator, Sequence[bytes]], bytes] | None = None

  def draw(self, rng: np.random.Generator, seeds: Sequence[bytes]) -> bytes:
    """Returns one damaged input."""
    if self.make is not None:
      return self.make(rng, seeds)
    return mutate.mutate(rng, seeds, self.kind, self.tokens)


def saving(
  name: str, read: Callable[[pathlib.Path], Any]
) -> Callable[[pathlib.Path, bytes], Any]:
  """Returns a `read` that writes the bytes to `name` in the folder first."""

  def write_and_read(folder: pathlib.Path, data: bytes) -> Any:
    path = folder / name
    path.write_bytes(data)
    return read(path)

  return write_and_read
