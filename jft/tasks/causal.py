"""Causal language modelling: the next token, where it is asked for."""

import math
import types

import numpy as np

from jft.tasks import per_token
from jft.tasks.task import Task
from jft.typing import IGNORED, Any, Array, Outputs

BETTER = types.MappingProxyType(
  {
    "val/loss": "min",
    "val/perplexity": "min",
    "val/token_accuracy": "max",
  }
)
_LARGEST = 700.0  # e to more than this is no float.


def causal_lm() -> Task:
  """The next token: cross-entropy, and perplexity over all tokens.

  The labels are Int["b n"], of every token the one that follows, or `IGNORED`
  where it is not to be learnt. An example counts as many times as it has
  labels, so that the loss of a batch is the mean over all its tokens, on all
  devices, and the perplexity is that of all documents together.
  """
  return Task(
    loss=per_token.make_loss(),
    metrics={"token_accuracy": per_token.accuracy},
    weight=per_token.count,
    kept=_nothing,
    right="token_accuracy",
    summary=_summary,
    answer=_answer,
    name="causal_lm",
  )


def _nothing(outputs: Outputs) -> dict[str, Array]:
  return {}  # Logits of every token and word would fill the memory.


def _summary(seen: Any) -> dict[str, float]:
  return {"perplexity": math.exp(min(seen.means["loss"], _LARGEST))}


def _answer(label: Any, names: Any) -> str:
  asked = int((np.asarray(label) != IGNORED).sum())
  return f"{asked} tokens to learn"
