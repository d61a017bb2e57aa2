"""Config -> the network, with the head and the changes it asks for."""

import jax
import numpy as np

from jft import data, families, loading, net, rng
from jft.build import task
from jft.build.adapter import with_adapter
from jft.build.quantized import with_quantized
from jft.build.teacher import with_teacher
from jft.data import Source
from jft.errors import UserError
from jft.models.head import Head
from jft.net import Net
from jft.pretrained import hub
from jft.typing import Any, Key, Mapping, Sequence

RATES = ("dropout", "attention_dropout", "drop_path")
"""Keys of "model" that are the family's own; below 0 they are the source's."""


def load_net(
  config: Any,
  label_names: Sequence[str],
  train: Source | None = None,
  *,
  fit: bool = True,
) -> Net:
  """Loads the config's model with the head that the task needs.

  Args:
    config: of the run.
    label_names: of the head's classes.
    train: the training examples, whose class counts `model.head_prior` takes;
      None where the weights will be restored anyway.
    fit: False leaves the network reading one input, where the task has it read
      two and compare them.
  """
  model = config.model
  # Two names: a new head must not be the very head that a shipped backbone was
  # pretrained with from scratch under the same seed.
  tuned = model.source and model.pretrained
  key = rng.key(config.seed, "head" if tuned else "init")
  options: dict[str, Any] = {
    "dtype": jax.numpy.dtype(model.dtype),
    "remat": model.remat,
    **task.options(config),
  }
  if model.attention != "xla":  # which most families have no choice of
    options["attention"] = model.attention
  if model.pooling:
    options["pooling"] = model.pooling
  options |= {
    name: value
    for name in ("image_size", "mean", "std")
    if (value := config.data[name])
  }
  options |= {name: model[name] for name in RATES if model[name] >= 0}
  head = _head(config, task.outputs(config, label_names), train)
  known = _architecture(model) if head else None
  if hasattr(known, "task"):  # Whatever the source was saved for.
    options.setdefault("task", "classification")
  if isinstance(head, Head) and _is_own_with_dropout(config, head, known):
    options["head_dropout"], head = model.head_dropout, head.num_classes
  made = _loaded(model, head, key, options)
  if config.task.name == "masked_lm" and made.spec.num_classes is None:
    # The source only reads: a new head, of all words.
    made = _loaded(model, made.spec.config.vocab_size, key, options)
  fitted = task.fitted(config, made) if fit else made
  adapted = with_adapter(config, fitted, made)
  reduced = with_quantized(config, adapted, made)
  return with_teacher(config, reduced, label_names)


def _loaded(
  model: Any, head: Head | int | None, key: Key, options: Mapping[str, Any]
) -> Net:
  """Loads the source, or draws what has none."""
  if not model.source:
    if head is None:
      head = families.preset(model.arch)[1].vocab_size
    return net.init(model.arch, num_classes=head, key=key, **options)
  return net.load_pretrained(
    model.source,
    arch=model.arch or None,
    num_classes=head,
    key=key,
    pretrained=model.pretrained,
    keep_blocks=model.keep_blocks or None,
    reinit=model.reinit,
    **options,
    **_vocabulary(model),
  )


def _head(
  config: Any, outputs: int | None, train: Source | None
) -> Head | int | None:
  """The head's kind, a number for the family's own; 0 for none, None for the
  source's own.
  """
  if not outputs:
    return outputs
  model, prior = config.model, None
  if model.head_prior and train is not None:
    prior = _shares(train, outputs)
  head = Head(
    outputs,
    tuple(model.head_widths),
    model.head_init,
    prior,
    model.head_dropout,
  )
  # Where nothing is asked of it, the family's own, for which other libraries
  # have a place; that may have two layers, and a linear probe is linear.
  own = head == Head(outputs) and config.tune.preset != "linear_probe"
  return outputs if own else head


def _is_own_with_dropout(config: Any, head: Head, known: Any) -> bool:
  """Is it the family's own head, of which the family knows the rate?

  A classifier of tokens is one dense layer anyway.
  """
  return (
    hasattr(known, "head_dropout")
    and config.tune.preset != "linear_probe"
    and config.task.name != "token_classification"
    and head == Head(head.num_classes, dropout=config.model.head_dropout)
  )


def _architecture(model: Any) -> Any:
  """Returns the source's architecture, without its weights."""
  if not model.source:
    return families.preset(model.arch)[1]
  located = hub.locate(model.source)
  return loading.architecture(located, model.arch or None)[1]


def _shares(train: Source, classes: int) -> tuple[float, ...]:
  counts = np.bincount(data.labels_of(train), minlength=classes)
  # A class that training does not have is not impossible: half an example.
  return tuple(np.maximum(counts, 0.5).tolist())


def _vocabulary(model: Any) -> dict[str, Any]:
  """The rows that a source's embedding needs for new tokens."""
  if not model.new_tokens:
    return {}
  tokenizer = hub.locate(model.source).tokenizer
  if tokenizer is None:
    raise UserError(
      f"model.new_tokens: {model.source!r} has no tokenizer to add them to."
    )
  encoder = data.load_tokenizer(
    tokenizer, max_length=8, new_tokens=model.new_tokens
  ).encoder
  known = _architecture(model).vocab_size
  return {"vocab_size": max(encoder.get_vocab_size(), known)}
