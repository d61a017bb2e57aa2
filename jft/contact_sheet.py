"""A sheet of small pictures, a row an example."""

import numpy as np

from jft import pictures
from jft.augmented import Picture
from jft.pictures import LIGHT, Colors
from jft.typing import Any, Sequence

_SIDE_INCHES = 8


def draw(
  rows: Sequence[Sequence[Picture]],
  titles: Sequence[str] = (),
  colors: Colors = LIGHT,
) -> Any:
  """Returns a figure of rows of pictures, each with its label below.

  Args:
    rows: all of one length.
    titles: of the columns (empty: none).
    colors: `LIGHT` or `DARK`.
  """
  columns = len(rows[0])
  ratio = np.divide(*rows[0][0].pixels.shape[:2])
  cell = _SIDE_INCHES / columns
  # A line of a label takes 0.13 inches; a twentieth is between two pictures.
  most = max(len(_lines(picture, 99)) for row in rows for picture in row)
  height = len(rows) * (0.95 * cell * ratio + 0.07 + 0.13 * most) + 0.2
  drawn = pictures.figure(height, colors)
  axes = drawn.subplots(len(rows), columns, squeeze=False)
  for places, row in zip(axes, rows, strict=True):
    for place, picture in zip(places, row, strict=True):
      _show(place, picture, colors, most=round(150 / columns))
  for place, title in zip(axes[0], titles, strict=False):
    place.set_title(
      pictures.short(title), color=colors.ink, fontsize=8, parse_math=False
    )
  return drawn


def _show(place: Any, picture: Picture, colors: Colors, *, most: int) -> None:
  pixels = picture.pixels
  if pixels.shape[-1] == 1:
    pixels = np.repeat(pixels, 3, axis=-1)
  place.imshow(pixels)
  place.set_xticks([])
  place.set_yticks([])
  place.spines[:].set_visible(False)
  place.set_xlabel(
    "\n".join(_lines(picture, most)),
    color=colors.muted,
    fontsize=7,
    labelpad=2,
    parse_math=False,
  )


def _lines(picture: Picture, most: int) -> list[str]:
  """Returns a label's lines: one for each class that has a share."""
  return [pictures.short(part, most) for part in picture.label.split(", ")]
