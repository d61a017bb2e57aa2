"""Tasks: the pure parts that turn a model into a trainable objective.

task = jft.tasks.classification(label_smoothing=0.1)
task = jft.tasks.regression(target_range=(0, 5))
step = jft.make_train_step(net.apply, task, tx)
"""

import types

from jft.tasks import causal, classes, numbers, tags
from jft.tasks.causal import causal_lm
from jft.tasks.classes import classification
from jft.tasks.numbers import regression
from jft.tasks.tags import token_classification
from jft.tasks.task import RESERVED, Expected, Task, model_inputs
from jft.typing import Mapping

__all__ = [
  "BETTER",
  "RESERVED",
  "Expected",
  "Task",
  "causal_lm",
  "classification",
  "model_inputs",
  "regression",
  "token_classification",
]

BETTER: Mapping[str, Mapping[str, str]] = types.MappingProxyType(
  {
    "classification": classes.BETTER,
    "regression": numbers.BETTER,
    "similarity": numbers.BETTER,
    "token_classification": tags.BETTER,
    "causal_lm": causal.BETTER,
  }
)
"""{task.name of a config: {metric: which of its values is best}}."""
