"""What a model expects its images to be, and where that was said."""

import dataclasses
import types

from jft.errors import UserError
from jft.pretrained import card, processor, timm_config
from jft.typing import Any, Mapping, Sequence

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
OPENAI_MEAN = (0.48145466, 0.4578275, 0.40821073)
OPENAI_STD = (0.26862954, 0.26130258, 0.27577711)

GIVEN = ("image_size", "mean", "std")
"""What must be known of an image model, and what a user may say of it."""


@dataclasses.dataclass(frozen=True)
class Preprocessing:
  """How an 8-bit image becomes a model's input.

  Attributes:
    image_size: pixels of each side.
    mean, std: of each channel, for values from 0 to 1.
    resize: the interpolation, a name that `jft.data.images.to_float` takes.
    crop_pct: None squeezes the image into the square; a share resizes the
      short side to image_size / crop_pct and cuts out the centre.
    squeeze: with a share: both sides become image_size / crop_pct, whatever
      the picture's shape, before the centre is cut out.
  """

  image_size: int
  mean: tuple[float, ...] = IMAGENET_MEAN
  std: tuple[float, ...] = IMAGENET_STD
  resize: str = "bilinear"
  crop_pct: float | None = 0.875
  squeeze: bool = False


def centred(image_size: int, channels: int) -> Preprocessing:
  """Returns the preparation that maps 0 to -1 and 255 to 1.

  It is what is left to say of images with other channels than three.

  Args:
    image_size: pixels of a side.
    channels: of the image.

  >>> centred(224, 1).mean
  (0.5,)
  """
  half = (0.5,) * channels
  return Preprocessing(image_size, half, half)


FIELDS = tuple(field.name for field in dataclasses.fields(Preprocessing))


def resolve(
  config: Mapping[str, Any],
  processed: Mapping[str, Any],
  usual: tuple[str, Preprocessing | None],
  given: Mapping[str, Any],
  *,
  source: str,
  channels: int,
  own: int | None = None,
) -> tuple[Preprocessing, Mapping[str, str]]:
  """Returns what a source says of its images, and who said each of it.

  Args:
    config: its config.json or card: jft's, timm's or transformers'.
    processed: its preprocessor_config.json, {} if there is none.
    usual: a project's name, and what it publishes for such a model.
    given: what the user says, of `GIVEN`; it comes before all others.
    source: for messages.
    channels: that the model is to read.
    own: that the source's model reads, if others; its mean and std are then
      fitted as its stem is (`jft.pretrained.surgery.fit_channels`).

  Returns:
    The record, and {field: "given", "card" (jft's), the name of a file or of
    the project, or "default" where nobody says how to resize and crop}.

  Raises:
    UserError: if size, mean or std is said nowhere, or a value is malformed.
  """
  theirs = own or channels
  layers = [
    ("given", given),
    ("card", _of_card(config)),
    ("config.json", timm_config.read(config)),
    (processor.FILE, processor.read(processed, config, theirs)),
    ("config.json", _size_of(config)),
    (usual[0], dataclasses.asdict(usual[1]) if usual[1] else {}),
  ]
  found = {f: v for _, layer in layers[::-1] for f, v in layer.items()}
  origin = {f: name for name, layer in layers[::-1] for f in layer}
  if missing := [f"{field}=" for field in GIVEN if field not in found]:
    raise UserError(
      f"{source!r} does not say how its images are to be prepared, and models"
      f" of this kind differ: give {', '.join(missing)} as the authors of the"
      " weights state them, for values from 0 to 1 (data.image_size, data.mean"
      " and data.std in a config)."
    )
  for field in ("mean", "std"):
    known = () if origin[field] == "given" else (theirs,)
    found[field] = _fitted(found[field], channels, known)
    if len(found[field]) != channels:
      raise UserError(
        f"{source!r}: {field}={found[field]} (by {origin[field]}), but the"
        f" model reads {theirs} channels."
      )
  made = Preprocessing(**found)
  silent = dict.fromkeys(FIELDS, "default")
  return made, types.MappingProxyType(silent | origin)


def check_given(given: Mapping[str, Any]) -> None:
  """Raises UserError for what a user cannot mean as size, mean or std."""
  for field, value in given.items():
    listed = list(value) if isinstance(value, tuple) else value
    card.check("load_pretrained", field, listed)


def _fitted(
  values: Sequence[float], channels: int, known: tuple[int, ...]
) -> tuple[float, ...]:
  """One channel gets the average, more get the old ones in turn.

  Left alone unless their number is one of `known`.
  """
  values = tuple(map(float, values))
  if len(values) not in known or len(values) == channels:
    return values
  if channels == 1:
    return (sum(values) / len(values),)
  return tuple(values[i % len(values)] for i in range(channels))


def _of_card(found: Mapping[str, Any]) -> dict[str, Any]:
  """A card of jft: without a `crop_pct` the picture is squeezed."""
  if "family" not in found:
    return {}
  facts = {field: found[field] for field in GIVEN if field in found}
  if "image_size" in facts:
    facts |= {
      "resize": found.get("resize", "bilinear"),
      "crop_pct": found.get("crop_pct"),
      "squeeze": found.get("squeeze", False),
    }
  return facts


def _size_of(config: Mapping[str, Any]) -> dict[str, Any]:
  """The side that transformers' config.json gives of the network itself."""
  if "model_type" in config and "image_size" in config:
    return {"image_size": config["image_size"]}
  return {}
