"""Losses per example, in float32 whatever the model computes in.

A loss returns one number for each example, so that masks, weights and exact
means over padded or sharded batches stay the caller's business.
"""

from jft.losses.consistency import distillation, symmetric_kl
from jft.losses.contrastive import (
  cosines,
  multiple_negatives_ranking,
  triplet_margin,
)
from jft.losses.mixed import weighted
from jft.losses.numbers import absolute_error, huber, squared_error
from jft.losses.ordinal import corn, corn_questions, corn_rank
from jft.losses.sigmoid import sigmoid_cross_entropy, sigmoid_focal
from jft.losses.softmax import (
  logit_adjusted,
  softmax_cross_entropy,
  softmax_focal,
)

__all__ = [
  "absolute_error",
  "corn",
  "corn_questions",
  "corn_rank",
  "cosines",
  "distillation",
  "huber",
  "logit_adjusted",
  "multiple_negatives_ranking",
  "sigmoid_cross_entropy",
  "sigmoid_focal",
  "softmax_cross_entropy",
  "softmax_focal",
  "squared_error",
  "symmetric_kl",
  "triplet_margin",
  "weighted",
]
