"""What a model expects its images to be, and where that was said."""

import dataclasses

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
OPENAI_MEAN = (0.48145466, 0.4578275, 0.40821073)
OPENAI_STD = (0.26862954, 0.26130258, 0.27577711)


@dataclasses.dataclass(frozen=True)
class Preprocessing:
  """How an 8-bit image becomes a model's input.

  Attributes:
    image_size: pixels of each side.
    mean, std: of each channel, for values from 0 to 1.
    resize: the interpolation, a name that `jft.data.images.to_float` takes.
    crop_pct: None squeezes the image into the square; a share resizes the
      short side to image_size / crop_pct and cuts out the centre.
  """

  image_size: int
  mean: tuple[float, ...] = IMAGENET_MEAN
  std: tuple[float, ...] = IMAGENET_STD
  resize: str = "bilinear"
  crop_pct: float | None = 0.875
