"""Config -> what training does to a batch, and what evaluation looks at."""

import types

from jft import augment, data, tasks
from jft.augment import ops, policies, views
from jft.augment.ops import Op
from jft.build import words
from jft.errors import UserError
from jft.net import Net
from jft.spec import Spec
from jft.typing import Any, ApplyFn, Callable, Mapping, Sequence

OPS: Mapping[str, Callable[[Any], Op]] = types.MappingProxyType(
  {
    "flip": lambda c: ops.flip(),
    "flip_vertical": lambda c: ops.flip_vertical(),
    "random_resized_crop": lambda c: ops.random_resized_crop((c.min_area, 1.0)),
    "pad_crop": lambda c: ops.pad_crop(c.padding),
    "rotate": lambda c: ops.rotate(c.degrees),
    "scale": lambda c: ops.scale(0.8, 1.2),
    "affine": lambda c: ops.random_affine(c.degrees, 0.1, (0.8, 1.2), 10.0),
    "perspective": lambda c: ops.perspective(),
    "color_jitter": lambda c: ops.color_jitter(
      c.jitter, c.jitter, c.jitter, c.jitter / 4
    ),
    "grayscale": lambda c: ops.grayscale(),
    "gaussian_blur": lambda c: ops.gaussian_blur(),
    "sharpness": lambda c: ops.sharpness(),
    "solarize": lambda c: ops.solarize(),
    "posterize": lambda c: ops.posterize(),
    "equalize": lambda c: ops.equalize(),
    "autocontrast": lambda c: ops.autocontrast(),
    "invert": lambda c: ops.invert(),
    "rand_augment": lambda c: policies.rand_augment(
      c.rand_augment_ops, c.rand_augment_magnitude
    ),
    "trivial_augment": lambda c: policies.trivial_augment(),
    "aug_mix": lambda c: policies.aug_mix(),
  }
)
"""What `augment.images` names."""

OF_IMAGES = ("images", "erasing", "mixup", "cutmix", "test_time")
OF_TEXTS = ("word_dropout", "token_masking", "synonyms")


def make_augment(
  config: Any,
  spec: Spec,
  task: tasks.Task,
  label_names: Sequence[str],
  tokenizer: data.Tokenizer | None,
) -> augment.Augment | None:
  """Returns (key, batch) -> batch for the step, None where nothing is asked.

  Raises:
    UserError: for what the model's inputs or the task cannot have.
  """
  refuse_other_kind(config, spec)
  c = config.augment
  made = []
  if chosen := image_ops(c, spec):
    made.append(augment.on_images(chosen, mean=spec.mean, std=spec.std))
  if c.mixup or c.cutmix:
    if not task.soft_labels:
      raise UserError(
        "augment.mixup and augment.cutmix give each example shares of two"
        f" classes, which the loss of task.name={task.name!r} does not take;"
        " set both to 0."
      )
    made.append(
      augment.mix(mixup=c.mixup, cutmix=c.cutmix, classes=len(label_names))
    )
  if tokenizer is not None:
    made += words.make(c, tokenizer)
  return augment.chain(*made) if made else None


def image_ops(c: Any, spec: Spec) -> list[Op]:
  """Returns the changes of one picture that the section "augment" names."""
  made = [OPS[name](c) for name in c.images]
  if c.erasing:
    made.append(ops.erasing(c.erasing, fill=spec.mean))
  return made


def refuse_other_kind(config: Any, spec: Spec) -> None:
  """Raises UserError for an augmentation of texts of an image model, or of
  images of a text model."""
  wrong = OF_TEXTS if spec.kind == "image" else OF_IMAGES
  for key in wrong:
    if config.augment[key]:
      raise UserError(
        f"augment.{key} is of {'texts' if wrong is OF_TEXTS else 'images'}, and"
        f" {spec.source or spec.preset!r} reads {spec.kind}s."
      )


def evaluated(config: Any, network: Net) -> ApplyFn:
  """Returns the `apply` that evaluation and prediction run."""
  c = config.augment
  if not c.test_time:
    return network.apply
  return views.averaged(network.apply, c.test_time, c.test_time_mean)
