"""Image files to pixels, with every way to fail turned into one message."""

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from jft.errors import UserError
from jft.typing import UInt8

MAX_PIXELS = 2**26
"""67 megapixels: beyond it a file is taken for a decompression bomb."""

# A bomb is also what grows too much: a PNG of one grey is 1000 pixels a byte.
MAX_GROWTH = 2000  # pixels a byte
_SMALL = 2**22  # pixels that are harmless whatever the file's size

# Those of a folder's suffixes. Pillow knows 40 more, told by content and not by
# name, among them EPS, which it hands to Ghostscript, a program, to run.
_FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF")


def decode(
  data: bytes | Path,
  name: str,
  *,
  upright: bool = True,
  max_pixels: int = MAX_PIXELS,
) -> UInt8[np.ndarray, "h w 3"]:
  """Decodes an image file to 8-bit RGB.

  Args:
    data: the file's bytes, or where it is.
    name: what to call it in messages.
    upright: whether to turn the image as its EXIF orientation says.
    max_pixels: larger images are refused before they are decoded.

  Raises:
    UserError: naming the file, if it cannot be decoded.
  """
  return np.asarray(_open(data, name, upright, max_pixels, draft=False))


def verify(path: Path, *, max_pixels: int = MAX_PIXELS) -> str | None:
  """Returns why a file cannot be decoded, or None.

  Reads to the end (a truncated JPEG passes Pillow's own `verify`), but a JPEG
  at an eighth of its size only.
  """
  try:
    _open(path, str(path), False, max_pixels, draft=True)
  except UserError as error:
    return str(error)
  return None


def _open(
  data: bytes | Path, name: str, upright: bool, max_pixels: int, draft: bool
) -> Image.Image:
  try:
    is_path = isinstance(data, Path)
    size = data.stat().st_size if is_path else len(data)
    file = data if is_path else io.BytesIO(data)
    with Image.open(file, formats=_FORMATS) as image:
      _check(image, name, max_pixels, size)
      if draft:
        eighth = (max(1, image.width // 8), max(1, image.height // 8))
        image.draft("RGB", eighth)
      turned = ImageOps.exif_transpose(image) if upright else image
      if turned.mode == "P" and "transparency" in turned.info:
        turned = turned.convert("RGBA")
      return turned.convert("RGB")
  except UserError:
    raise
  except Exception as error:  # Pillow's decoders raise almost anything.
    raise UserError(
      f"{name}: cannot decode this image: {error or type(error).__name__}"
    ) from error


def _check(image: Image.Image, name: str, max_pixels: int, size: int) -> None:
  pixels = image.width * image.height
  if pixels > max_pixels:
    raise UserError(
      f"{name}: {image.width} x {image.height} pixels, more than"
      f" {max_pixels}; make the image smaller."
    )
  if pixels > max(_SMALL, MAX_GROWTH * size):
    raise UserError(
      f"{name}: {image.width} x {image.height} pixels in {size} bytes, which is"
      " a decompression bomb or a blank page; make the image smaller."
    )
  if image.mode.startswith(("I", "F")):
    raise UserError(
      f"{name}: mode {image.mode} has more than 8 bits a channel; convert the"
      " image to 8 bits."
    )
