"""Config -> how an example becomes what the network reads."""

import types

from jft import augment, data
from jft.build.documents import with_end
from jft.build.task import reads
from jft.errors import UserError
from jft.pretrained.preprocessing import FIELDS
from jft.spec import Spec
from jft.typing import Any, Callable, Mapping

AUGMENT: Mapping[str, Callable | None] = types.MappingProxyType(
  {"none": None, "flip": augment.flip, "crop_flip": augment.crop_flip}
)
"""What `data.augment` names."""


def make_encode(
  config: Any, spec: Spec, *, train: bool = False
) -> Callable | data.Tokenizer:
  """Returns the tokenizer, or image example -> normalised array.

  Args:
    config: the run's.
    spec: of the network.
    train: of images in training: what a random crop leaves is squeezed whole.

  Raises:
    UserError: for a text model that came without a tokenizer.
  """
  c = config.data
  if spec.kind == "image":
    facts = preprocessing(config, spec)
    cropped = train and c.augment == "crop_flip"
    return data.make_image_encode(
      facts["image_size"],
      facts["mean"],
      facts["std"],
      channels=spec.config.in_channels,
      resize=facts["resize"],
      crop_pct=None if cropped else facts["crop_pct"],
      squeeze=facts["squeeze"],
    )
  if spec.tokenizer is None:
    raise UserError(
      f"{spec.source!r} has no tokenizer.json or vocab.txt beside its weights;"
      " put the model's own there."
    )
  tokenizer = data.load_tokenizer(
    spec.tokenizer,
    max_length=c.max_length,
    reads=reads(config),
    new_tokens=config.model.new_tokens,
  )
  return with_end(tokenizer, c.eos_token)


def preprocessing(config: Any, spec: Spec) -> dict[str, Any]:
  """Returns how a run prepares its images: as the model's, or as it says.

  Args:
    config: the run's; what it says of size, mean and std is in the spec.
    spec: of the network.

  Returns:
    The spec's fields `image_size`, `mean`, `std`, `resize`, `crop_pct` and
    `squeeze`, and `from`, which says where each one is from; {} for texts.
  """
  if spec.kind != "image":
    return {}
  c, origin = config.data, dict(spec.preprocessing_from)
  facts = {field: getattr(spec, field) for field in FIELDS}
  if c.resize:
    facts["resize"], origin["resize"] = c.resize, "given"
  if c.crop_pct or c.squeeze:
    facts |= {"crop_pct": c.crop_pct or None, "squeeze": c.squeeze}
    origin |= {"crop_pct": "given", "squeeze": "given"}
  return {**facts, "from": origin}
