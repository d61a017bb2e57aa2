"""Single image files without labels, to predict."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jft.data.decode import decode


@dataclass(frozen=True)
class ImageFiles:
  """A source of {"image": UInt8[h w 3]}; made by `image_files`."""

  paths: tuple[Path, ...]
  name: str = "image files"
  label_names: tuple[str, ...] | None = None

  def __len__(self) -> int:
    return len(self.paths)

  def __getitem__(self, i: int) -> dict[str, Any]:
    return {"image": decode(self.paths[i], str(self.paths[i]))}


def image_files(paths: Sequence[str | Path]) -> ImageFiles:
  """Returns a source of these files, decoded when they are read.

  Raises:
    UserError: naming the file, on access, if it cannot be decoded.
  """
  return ImageFiles(tuple(Path(path) for path in paths))
