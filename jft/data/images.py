"""One 8-bit image to the normalised floats that a model reads."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from jft.errors import UserError, did_you_mean
from jft.typing import RESIZES, Float, UInt8

_METHODS = {
  name: Image.Resampling(number) for number, name in enumerate(RESIZES)
}


def to_float(
  image: UInt8[np.ndarray, "h w *c"],
  size: int,
  mean: Sequence[float],
  std: Sequence[float],
  *,
  channels: int = 3,
  resize: str = "bilinear",
  crop_pct: float | None = None,
  squeeze: bool = False,
) -> Float[np.ndarray, "size size channels"]:
  """Resizes an image and normalises it as `(x / 255 - mean) / std`.

  Args:
    image: 8-bit grey, grey with alpha, RGB or RGBA; alpha is dropped.
    size: pixels of each side of the result.
    mean: of each channel, for values from 0 to 1.
    std: of each channel.
    channels: 3 (grey is repeated) or 1 (RGB becomes ITU-R 601 luma).
    resize: "nearest", "bilinear", "bicubic", "lanczos", "box" or "hamming"; all
      but the first average over what they shrink (antialias).
    crop_pct: None squeezes the whole image into the square. A share such as
      0.875 resizes the short side to size / crop_pct and cuts out the centre.
    squeeze: with a share: both sides become size / crop_pct, whatever the
      picture's shape, before the centre is cut out.

  Returns:
    Float32 in C order.

  Raises:
    UserError: if the image is not 8-bit or an argument does not fit.

  Source: torchvision.transforms Resize, CenterCrop, ToTensor, Normalize;
    timm's `crop_pct` and its
    crop mode "squash".
  """
  centre, scale = _per_channel(mean, channels), _per_channel(std, channels)
  method = _METHODS.get(resize)
  if method is None:
    raise UserError(
      f"resize={resize!r} is none of {sorted(_METHODS)}."
      f"{did_you_mean(resize, _METHODS)}"
    )
  picture = _picture(image, channels)
  if crop_pct is not None:
    picture = _centre(picture, size, crop_pct, method, squeeze)
  elif picture.size != (size, size):
    picture = picture.resize((size, size), method)
  pixels = np.asarray(picture, np.float32).reshape(size, size, channels)
  return (pixels / np.float32(255) - centre) / scale


def make_image_encode(
  size: int, mean: Sequence[float], std: Sequence[float], **options: Any
) -> Callable[[Mapping[str, Any]], dict[str, np.ndarray]]:
  """Returns example -> {"image": Float32[size size c]}, by `to_float`."""

  def encode(example: Mapping[str, Any]) -> dict[str, np.ndarray]:
    image = np.asarray(example["image"])
    return {"image": to_float(image, size, mean, std, **options)}

  return encode


def _per_channel(values: Sequence[float], channels: int) -> np.ndarray:
  array = np.asarray(values, np.float32)
  if array.shape != (channels,):
    raise UserError(
      f"mean and std need one value for each of {channels} channels, got"
      f" {values}."
    )
  return array


def _picture(image: np.ndarray, channels: int) -> Image.Image:
  if image.ndim == 2:
    image = image[..., None]
  modes = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
  if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] not in modes:
    raise UserError(
      f"expected an 8-bit image [h w] or [h w 1 to 4], got {image.dtype} of"
      f" shape {image.shape}; scale other values to uint8 first."
    )
  if channels not in (1, 3):
    raise UserError(f"channels must be 1 or 3, got {channels}.")
  single = image.shape[2] == 1
  picture = Image.fromarray(image[..., 0] if single else image)
  return picture.convert("RGB" if channels == 3 else "L")


def _centre(
  picture: Image.Image,
  size: int,
  crop_pct: float,
  method: Any,
  squeeze: bool,
) -> Image.Image:
  if not 0 < crop_pct <= 1:
    raise UserError(f"crop_pct must be above 0 and at most 1, got {crop_pct}.")
  # A share such as 224 / 232 must give 232 back, whatever its rounding.
  side = int(size / crop_pct + 1e-6)
  short = min(picture.size)
  width, height = (
    side if squeeze or edge == short else int(side * edge / short)
    for edge in picture.size
  )
  if picture.size != (width, height):
    picture = picture.resize((width, height), method)
  left, top = round((width - size) / 2), round((height - size) / 2)
  return picture.crop((left, top, left + size, top + size))
