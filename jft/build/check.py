"""Contradictions in a config, found before anything is loaded."""

import math
import os

import jax

from jft import optimizers
from jft.build.check_adapter import check_adapter
from jft.build.check_augment import check_augment
from jft.build.check_loss import check_loss
from jft.build.check_optim import check_optim
from jft.build.check_task import check_task
from jft.build.check_tune import check_tune
from jft.build.quantized import check_quantized
from jft.config import flatten
from jft.data import SAMPLINGS
from jft.errors import UserError, did_you_mean
from jft.models.attention import ATTENTIONS
from jft.tasks import BETTER
from jft.typing import RESIZES, Any

# No kernels that add up in a changing order, no choice of kernels by timing.
DETERMINISTIC = "--xla_gpu_deterministic_ops=true"
CHOICES = {
  "model.dtype": ("float32", "bfloat16"),
  "model.attention": ATTENTIONS,
  "model.pooling": ("", "cls_pooler", "cls", "mean"),
  "model.head_init": ("family", "zeros", "trunc_normal"),
  "data.on_error": ("error", "skip"),
  "data.resize": ("", *RESIZES),
  "data.augment": ("none", "flip", "crop_flip"),
  "data.sampling": SAMPLINGS,
  "task.name": tuple(BETTER),
  "task.class_balance": ("", "balanced", "effective"),
  "tune.preset": (
    "",
    "full",
    "linear_probe",
    "top_blocks",
    "norm_only",
    "bias_only",
    "lp_ft",
    "surgical",
  ),
  "tune.unfreeze": ("", "gradual"),
  "tune.batch_norm": ("auto", "frozen", "update", "recalibrate"),
  "optim.name": tuple(optimizers.NAMES),
  "optim.moments_dtype": ("", "float32", "bfloat16"),
  "average.name": ("", "ema", "swa"),
  "optim.schedule": ("constant", "linear", "cosine", "polynomial", "step"),
  "train.parallel": ("pmap", "jit"),
  "train.preflight": ("refuse", "warn", "off"),
  "stop.mode": ("max", "min"),
}
POSITIVE = (
  "optim.lr",
  "optim.power",
  "tune.unfreeze_blocks",
  "tune.measure_batches",
  "tune.recalibrate_batches",
  "task.huber_delta",
  "task.temperature",
  "task.margin",
  "task.mask_probability",
  "task.teacher_temperature",
  "train.batch_size",
  "train.accumulate",
  "eval.batch_size",
  "generate.max_new_tokens",
  "data.max_length",
  "data.buckets",
  "data.prefetch",
  "guard.threshold",
  "guard.lr_cut",
  "average.every_steps",
  "checkpoint.keep_last",
  "checkpoint.keep_best",
  "log.every_steps",
)
NOT_NEGATIVE = (
  "seed",
  "task.focal_gamma",
  "task.logit_adjustment",
  "task.r_drop",
  "task.teacher_features",
  "optim.backbone_lr_scale",
  "optim.warmup_steps",
  "optim.weight_decay",
  "optim.eps",
  "optim.clip_norm",
  "optim.clip_value",
  "optim.clip_adaptive",
  "optim.sam_rho",
  "regularise.l1",
  "regularise.l2",
  "regularise.l2_sp",
  "regularise.l2_sp_head",
  "optim.final_lr",
  "data.train_examples",
  "data.image_size",
  "tune.blocks",
  "tune.unfreeze_every_steps",
  "tune.unfreeze_every_epochs",
  "tune.unfreeze_patience",
  "stop.patience",
  "guard.max_retries",
  "train.devices",
)
SHARES = (
  "model.head_dropout",
  "data.validation_fraction",
  "data.test_fraction",
  "task.label_smoothing",
  "task.effective_beta",
  "tune.head_first",
  "optim.momentum",
  "optim.b1",
  "optim.b2",
  "average.decay",
  "average.start",
)
UP_TO_ONE = (
  "data.crop_pct",
  "guard.lr_cut",
  "task.focal_alpha",
  "task.teacher_alpha",
  "task.mask_probability",
)
# Counts must fit Int32, which is what steps and seeds are on a device.
LARGEST = {"train.epochs": 1e6, "eval.every_epochs": 1e6}
LARGEST_OF_ALL = 2**31 - 1


def check(config: Any) -> None:
  """Raises UserError naming the first key whose value cannot be meant."""
  _check_values(config)
  _check_model(config)
  _check_head(config)
  _check_data(config.data)
  check_tune(config)
  check_optim(config)
  check_task(config)
  check_loss(config)
  check_adapter(config)
  check_augment(config)
  check_quantized(config)
  _check_stop(config)
  _one_of(config.train, "train", "epochs", "steps", needed=True)
  _one_of(config.eval, "eval", "every_epochs", "every_steps", needed=False)
  _check_batch(config.train)
  _check_deterministic(config)


def _check_values(config: Any) -> None:
  flat = flatten(config)
  for key, known in CHOICES.items():
    if (value := flat[key]) not in known:
      raise UserError(
        f"{key}={value!r}: choose one of {', '.join(filter(None, known))}."
        + did_you_mean(str(value), known)
      )
  for key in POSITIVE:
    if not 0 < (value := flat[key]) < math.inf:
      raise UserError(f"{key}={value} must be above 0 and finite.")
  for key in NOT_NEGATIVE:
    if not 0 <= (value := flat[key]) < math.inf:
      raise UserError(f"{key}={value} must be finite and not negative.")
  for key in SHARES:
    if not 0 <= (value := flat[key]) < 1:
      raise UserError(f"{key}={value} is a share, in [0, 1).")
  for key in UP_TO_ONE:
    if not 0 <= (value := flat[key]) <= 1:
      raise UserError(f"{key}={value} must lie in [0, 1].")
  for key, value in flat.items():
    most = LARGEST.get(key, LARGEST_OF_ALL)
    if isinstance(value, int | float) and not abs(value) <= most:
      raise UserError(
        f"{key}={str(value)[:40]} must be a number up to {most:.3g}."
      )


def _check_model(config: Any) -> None:
  model = config.model
  if not (model.source or model.arch):
    raise UserError(
      "model.source is empty: say what to start from, such as"
      " 'jft:resnet14_mnist', 'hf:org/name' or a folder (or model.arch alone"
      " for random weights)."
    )
  if not model.source and model.pretrained:
    raise UserError(
      f"model.arch={model.arch!r} without model.source has no weights to load:"
      " give model.source, or set model.pretrained=False to start from scratch."
    )


def _check_head(config: Any) -> None:
  if config.model.head_prior and config.task.name != "classification":
    raise UserError(
      "model.head_prior starts the head at the classes' shares, and"
      f" task.name={config.task.name!r} has no classes of examples."
    )


def _check_data(data: Any) -> None:
  if not data.train:
    raise UserError(
      "data.train is empty: say where the examples are, such as"
      " 'sklearn:digits', 'folder:PATH', 'csv:PATH' or 'tfds:NAME/SPLIT'."
    )
  _check_names(data)
  for key in ("mean", "std"):
    if not all(type(value) in (int, float) for value in data[key]):
      raise UserError(
        f"data.{key}={data[key]} must be numbers, one a channel, such as"
        " (0.5, 0.5, 0.5)."
      )
  cut = _cut(data)
  if sum(cut) >= 1:
    raise UserError(
      f"data.validation_fraction + data.test_fraction = {sum(cut)} leaves"
      " nothing to train on."
    )
  if not data.validation and not data.validation_fraction:
    raise UserError(
      "no validation data: the best checkpoint could not be told. Give"
      " data.validation or a data.validation_fraction."
    )


def _check_names(data: Any) -> None:
  names = data.label_names
  if not all(isinstance(name, str) for name in names):
    raise UserError(
      f"data.label_names={names} must be texts, such as ('cat', 'dog')."
    )
  if len(set(names)) != len(names):
    raise UserError(f"data.label_names={names} names a class twice.")
  for key in ("text_column", "text_pair_column", "label_column"):
    if data[key].isdecimal() and len(data[key]) > 6:
      raise UserError(f"data.{key}={data[key][:40]}: no file has that column.")


def _cut(data: Any) -> list[float]:
  return [
    data[f"{split}_fraction"]
    for split in ("validation", "test")
    if not data[split]
  ]


def _check_stop(config: Any) -> None:
  stop, better = config.stop, BETTER[config.task.name]
  if stop.metric not in better:
    raise UserError(
      f"stop.metric={stop.metric!r}: choose one of {', '.join(better)}."
      + did_you_mean(stop.metric, better)
    )
  if stop.mode != better[stop.metric]:
    raise UserError(
      f"stop.mode={stop.mode!r}: of stop.metric={stop.metric!r} the"
      f" {better[stop.metric]} is best; set stop.mode={better[stop.metric]!r}."
    )


def _one_of(section: Any, name: str, a: str, b: str, *, needed: bool) -> None:
  given = [key for key in (a, b) if section[key]]
  if min(section[a], section[b]) < 0:
    raise UserError(f"{name}.{a} and {name}.{b} must not be negative.")
  if len(given) > 1 or (needed and not given):
    raise UserError(
      f"{name}.{a}={section[a]} and {name}.{b}={section[b]}: give"
      f" {'exactly' if needed else 'at most'} one of the two."
    )


def _check_batch(train: Any) -> None:
  devices = train.devices or jax.device_count()
  if devices > jax.device_count():
    raise UserError(
      f"train.devices={train.devices}: this machine has {jax.device_count()}."
    )
  parts = devices * train.accumulate
  if train.batch_size % parts:
    raise UserError(
      f"train.batch_size={train.batch_size} does not divide by {devices}"
      f" devices x train.accumulate={train.accumulate}; choose a multiple of"
      f" {parts}."
    )


def _check_deterministic(config: Any) -> None:
  """XLA reads its flags once, so a notebook has to set them by itself."""
  wanted = config.deterministic and jax.default_backend() == "gpu"
  if wanted and DETERMINISTIC not in os.environ.get("XLA_FLAGS", ""):
    raise UserError(
      f"deterministic=True needs {DETERMINISTIC} in XLA_FLAGS before JAX is"
      " first used: the jft command sets it; a notebook says"
      " os.environ['XLA_FLAGS'] = ... in its first cell."
    )
