"""Config -> what is minimised: losses by name, and what a class weighs."""

import functools
import types

import jax
import numpy as np

from jft import class_weights, data, losses
from jft.data.labels import kind_of
from jft.errors import UserError
from jft.typing import Any, Array, Callable, Mapping, Sequence

Loss = Callable[..., Array]


def loss_of(c: Any) -> Loss | None:
  """Returns the loss that a config names, None for the task's usual one.

  Args:
    c: the config's section `task`.
  """
  known = _LOSSES.get(c.name, {})
  if c.mix:
    return losses.weighted([(known[name](c), weight) for name, weight in c.mix])
  return known[c.loss](c) if c.loss else None


def weights_of(
  c: Any, label_names: Sequence[str], train: data.Source | None
) -> np.ndarray | None:
  """Returns what each class weighs in training, None where all weigh the same.

  Args:
    c: the config's section `task`.
    label_names: of the k classes.
    train: the training examples; None where nothing is trained.

  Raises:
    UserError: if the weights are not one a class, or a class has no example.
  """
  if c.class_weights:
    return _given("class_weights", c.class_weights, label_names)
  if not c.class_balance or train is None:
    return None
  counts = counts_of(train, len(label_names))
  if c.class_balance == "effective":
    return class_weights.effective(counts, c.effective_beta)
  return class_weights.balanced(counts)


def pos_weight_of(
  c: Any, label_names: Sequence[str], train: data.Source | None
) -> np.ndarray | None:
  """Returns how much a yes weighs, of several classes an example.

  Args:
    c: the config's section `task`.
    label_names: of the k classes.
    train: the training examples; None where nothing is trained.

  Raises:
    UserError: as `weights_of`.
  """
  if c.pos_weight:
    return _given("pos_weight", c.pos_weight, label_names)
  if not c.class_balance or train is None:
    return None
  labels = data.labels_of(train)
  return class_weights.positive(labels.sum(0), len(labels))


def adjustment_of(
  c: Any, label_names: Sequence[str], train: data.Source | None
) -> np.ndarray | None:
  """Returns what is added to the logits in training, or None."""
  if not c.logit_adjustment or train is None:
    return None
  prior = class_weights.log_prior(counts_of(train, len(label_names)))
  return c.logit_adjustment * prior


def counts_of(train: data.Source, classes: int) -> np.ndarray:
  """Returns how many training examples, or words, are of each class."""
  if kind_of(train) == "tags":
    rows = [np.asarray(train[i]["label"]) for i in range(len(train))]
    return np.bincount(np.concatenate(rows), minlength=classes)
  return np.bincount(data.labels_of(train), minlength=classes)


def _given(
  key: str, weights: Sequence[float], label_names: Sequence[str]
) -> np.ndarray:
  if len(weights) != len(label_names):
    raise UserError(
      f"task.{key} has {len(weights)} numbers, and there are"
      f" {len(label_names)} classes: {', '.join(label_names[:10])}. Give"
      " one for each, in that order."
    )
  return np.asarray(weights, np.float64)


def _one_against_all(logits: Array, label: Array, **options: Any) -> Array:
  shares = label
  if label.ndim < logits.ndim:
    shares = jax.nn.one_hot(label, logits.shape[-1])
  return losses.sigmoid_focal(logits, shares, **options)


def _focal(c: Any) -> dict[str, Any]:
  return {"gamma": c.focal_gamma, "alpha": c.focal_alpha or None}


_OF_NUMBERS: Mapping[str, Callable[[Any], Loss]] = types.MappingProxyType(
  {
    "mse": lambda c: losses.squared_error,
    "mae": lambda c: losses.absolute_error,
    "huber": lambda c: functools.partial(losses.huber, delta=c.huber_delta),
  }
)
_LOSSES: Mapping[str, Mapping[str, Callable[[Any], Loss]]] = (
  types.MappingProxyType(
    {
      "classification": types.MappingProxyType(
        {
          "cross_entropy": lambda c: functools.partial(
            losses.softmax_cross_entropy, smoothing=c.label_smoothing
          ),
          "focal": lambda c: functools.partial(
            losses.softmax_focal, gamma=c.focal_gamma
          ),
          "sigmoid_focal": lambda c: functools.partial(
            _one_against_all, **_focal(c)
          ),
        }
      ),
      "multi_label": types.MappingProxyType(
        {
          "cross_entropy": lambda c: losses.sigmoid_cross_entropy,
          "focal": lambda c: functools.partial(
            losses.sigmoid_focal, **_focal(c)
          ),
        }
      ),
      "regression": _OF_NUMBERS,
      "similarity": _OF_NUMBERS,
    }
  )
)
NAMES: Mapping[str, tuple[str, ...]] = types.MappingProxyType(
  {
    **{name: tuple(known) for name, known in _LOSSES.items()},
    "retrieval": ("ranking", "triplet"),
  }
)
"""{task.name: what `task.loss` may be}."""
