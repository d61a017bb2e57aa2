"""Language modelling: the next token, or those that are hidden."""

import dataclasses
import math
import types

import numpy as np

from jft.tasks import classes, per_token
from jft.tasks.task import Expected, Task
from jft.typing import IGNORED, Any, Array, Outputs

BETTER = types.MappingProxyType(
  {
    "val/loss": "min",
    "val/perplexity": "min",
    "val/token_accuracy": "max",
  }
)
_LARGEST = 700.0  # e to more than this is no float.


def causal_lm(words: int = 0, *, label_smoothing: float = 0.0) -> Task:
  """The next token: cross-entropy, and perplexity over all tokens.

  The labels are Int["b n"], of every token the one that follows, or `IGNORED`
  where it is not to be learnt. An example counts as many times as it has
  labels, so that the loss of a batch is the mean over all its tokens, on all
  devices, and the perplexity is that of all documents together.

  Args:
    words: how many the model chooses among, for the least loss there is.
    label_smoothing: share of the target spread over all words, in training
      alone: a perplexity is of the plain loss.
  """
  smoothed, least = None, 0.0
  if label_smoothing:
    smoothed = per_token.make_loss(label_smoothing)
  if label_smoothing and words:
    least = classes.least_loss(words, label_smoothing=label_smoothing)
  return Task(
    loss=per_token.make_loss(),
    training_loss=smoothed,
    metrics={"token_accuracy": per_token.accuracy},
    weight=per_token.count,
    kept=_nothing,
    right="token_accuracy",
    summary=_summary,
    answer=_answer,
    least_loss=lambda k: least,
    name="causal_lm",
  )


def masked_lm(words: int = 0, *, label_smoothing: float = 0.0) -> Task:
  """The tokens that were hidden: cross-entropy, and perplexity over them.

  As `causal_lm`, but the labels are of the hidden tokens themselves.

  Args:
    words: how many the model chooses among, for what even guesses have.
    label_smoothing: as for `causal_lm`.
  """
  return dataclasses.replace(
    causal_lm(words, label_smoothing=label_smoothing),
    expected=lambda labels, k: _guessing(words) if words else None,
    name="masked_lm",
  )


def _guessing(words: int) -> Expected:
  even = math.log(words)
  return Expected(
    even,
    f"even guesses among {words:,} words have {even:.3f}",
    even,
    "",
    0.5,
    "its words may be another tokenizer's",
  )


def _nothing(outputs: Outputs) -> dict[str, Array]:
  return {}  # Logits of every token and word would fill the memory.


def _summary(seen: Any) -> dict[str, float]:
  return {"perplexity": math.exp(min(seen.means["loss"], _LARGEST))}


def _answer(label: Any, names: Any) -> str:
  asked = int((np.asarray(label) != IGNORED).sum())
  return f"{asked} tokens to learn"
