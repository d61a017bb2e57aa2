"""Tasks: the pure parts that turn a model into a trainable objective.

task = jft.tasks.classification(label_smoothing=0.1)
task = jft.tasks.regression(target_range=(0, 5))
step = jft.make_train_step(net.apply, task, tx)
"""

import types

from jft.tasks import causal, classes, multi, numbers, tags
from jft.tasks import ordinal as ranks
from jft.tasks import retrieval as pairs
from jft.tasks.causal import causal_lm, masked_lm
from jft.tasks.classes import classification
from jft.tasks.multi import multi_label
from jft.tasks.numbers import regression
from jft.tasks.ordinal import ordinal
from jft.tasks.retrieval import retrieval
from jft.tasks.tags import token_classification
from jft.tasks.task import RESERVED, Expected, Task, model_inputs
from jft.typing import Mapping

__all__ = [
  "BETTER",
  "LANGUAGE",
  "RESERVED",
  "Expected",
  "Task",
  "causal_lm",
  "classification",
  "masked_lm",
  "model_inputs",
  "multi_label",
  "ordinal",
  "regression",
  "retrieval",
  "token_classification",
]

BETTER: Mapping[str, Mapping[str, str]] = types.MappingProxyType(
  {
    "classification": classes.BETTER,
    "regression": numbers.BETTER,
    "similarity": numbers.BETTER,
    "token_classification": tags.BETTER,
    "causal_lm": causal.BETTER,
    "masked_lm": causal.BETTER,
    "multi_label": multi.BETTER,
    "ordinal": ranks.BETTER,
    "retrieval": pairs.BETTER,
  }
)
"""{task.name of a config: {metric: which of its values is best}}."""

LANGUAGE = ("causal_lm", "masked_lm")
"""Names of the tasks that read documents and answer with words."""
