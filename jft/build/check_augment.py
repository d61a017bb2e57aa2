"""Contradictions in a config's section "augment"."""

from jft.augment import views
from jft.build.augment import OPS
from jft.errors import UserError, did_you_mean
from jft.tasks import LANGUAGE
from jft.typing import Any

CROPS = ("random_resized_crop", "pad_crop")
_HOST = {"flip": ("flip",), "crop_flip": ("flip", *CROPS)}
_CLASSES = ("classification", "token_classification")


def check_augment(config: Any) -> None:
  """Raises UserError naming the first key whose value cannot be meant."""
  c = config.augment
  _check_names("images", c.images, OPS)
  _check_names("test_time", c.test_time, views.VIEWS)
  _check_numbers(c)
  for name in c.images:
    if name in _HOST.get(config.data.augment, ()):
      raise UserError(
        f"augment.images has {name!r}, and data.augment="
        f"{config.data.augment!r} does the same on the host: set"
        " data.augment='none' or take it out."
      )
  _check_test_time(config)
  _check_mixing(config)
  _check_texts(config)


def _check_names(key: str, names: Any, known: Any) -> None:
  for name in names:
    if name not in known:
      raise UserError(
        f"augment.{key} has {name!r}: choose of {', '.join(known)}."
        + did_you_mean(str(name), known)
      )
  if len(set(names)) != len(names):
    raise UserError(f"augment.{key}={tuple(names)} names one twice.")


def _check_numbers(c: Any) -> None:
  for key in ("erasing", "word_dropout", "token_masking", "synonym_share"):
    most = "1]" if key in ("erasing", "synonym_share") else "1)"
    if not 0 <= c[key] <= 1 or (c[key] == 1 and most == "1)"):
      raise UserError(f"augment.{key}={c[key]} is a share, in [0, {most}.")
  if not 0 < c.min_area <= 1:
    raise UserError(f"augment.min_area={c.min_area} is a share, in (0, 1].")
  if not 0 <= c.jitter <= 1:
    raise UserError(f"augment.jitter={c.jitter} must lie in [0, 1].")
  if not 0 <= c.degrees <= 180:
    raise UserError(f"augment.degrees={c.degrees} must lie in [0, 180].")
  if not 0 <= c.rand_augment_magnitude <= 30:
    raise UserError(
      f"augment.rand_augment_magnitude={c.rand_augment_magnitude} must be from"
      " 0 to 30."
    )
  for key, least in (("rand_augment_ops", 1), ("padding", 1)):
    if not least <= c[key] <= 1000:
      raise UserError(f"augment.{key}={c[key]} must be from {least} to 1000.")
  for key in ("mixup", "cutmix"):
    if not 0 <= c[key] <= 1000:
      raise UserError(
        f"augment.{key}={c[key]} is the alpha of a Beta distribution, from 0"
        " (off) to 1000."
      )


def _check_test_time(config: Any) -> None:
  c, task = config.augment, config.task.name
  if c.test_time_mean not in views.MEANS:
    raise UserError(
      f"augment.test_time_mean={c.test_time_mean!r}: choose one of"
      f" {', '.join(views.MEANS)}."
      + did_you_mean(str(c.test_time_mean), views.MEANS)
    )
  numbers = c.test_time and task not in _CLASSES
  if numbers and c.test_time_mean == "probabilities":
    raise UserError(
      f"augment.test_time_mean='probabilities': task.name={task!r} has none;"
      " set it to 'logits'."
    )


def _check_mixing(config: Any) -> None:
  c, task = config.augment, config.task.name
  if (c.mixup or c.cutmix) and task not in _CLASSES:
    raise UserError(
      f"augment.mixup={c.mixup} and augment.cutmix={c.cutmix} mix classes, and"
      f" task.name={task!r} has none; set both to 0."
    )


def _check_texts(config: Any) -> None:
  c, task = config.augment, config.task.name
  refused = {
    "word_dropout": ("token_classification", *LANGUAGE),
    "token_masking": LANGUAGE,
    "synonyms": ("token_classification", *LANGUAGE),
  }
  for key, tasks in refused.items():
    if c[key] and task in tasks:
      raise UserError(
        f"augment.{key} changes words that task.name={task!r} asks for one by"
        " one; leave it empty."
      )
