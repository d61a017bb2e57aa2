"""Losses: what they are given, and what their originals make of it."""

import numpy as np

B, K, D = 6, 4, 5


def given(seed=0):
  """Returns {name: array}, float32 and int32."""
  draw = np.random.default_rng(seed)

  def normal(*shape):
    return draw.normal(0, 2, shape).astype(np.float32)

  return {
    "logits": normal(B, K),
    "other": normal(B, K),
    "label": draw.integers(0, K, B).astype(np.int32),
    "several": draw.integers(0, 2, (B, K)).astype(np.float32),
    "rank": np.arange(B, dtype=np.int32) % (K + 1),
    "weight": draw.uniform(0.2, 3, K).astype(np.float32),
    "prior": np.log(np.array([0.7, 0.2, 0.08, 0.02], np.float32)),
    "value": normal(B),
    "target": normal(B),
    "anchor": normal(B, D),
    "positive": normal(B, D),
    "negative": normal(B, D),
  }


def ours(x):
  """Returns {name: what jft makes of it}."""
  import jax.numpy as jnp

  from jft import losses, tasks

  weighted = tasks.classification(class_weights=x["weight"])
  batch = {"label": jnp.asarray(x["label"]), "mask": jnp.ones(B)}
  weights = weighted.loss_weights(batch)
  loss = weighted.loss({"logits": x["logits"]}, batch)
  smooth = losses.softmax_cross_entropy(x["logits"], x["label"], smoothing=0.1)
  questions = losses.corn_questions(x["rank"], K)
  corn = losses.corn(x["logits"], x["rank"])
  rank = {"query": x["anchor"], "passage": x["positive"]}
  ranking = losses.multiple_negatives_ranking
  return {
    "cross_entropy_smoothed": smooth,
    "cross_entropy_weighted": (loss * weights).sum() / weights.sum(),
    "logit_adjusted": losses.softmax_cross_entropy(
      losses.logit_adjusted(x["logits"], x["prior"], 1.5), x["label"]
    ),
    "bce": losses.sigmoid_cross_entropy(x["logits"], x["several"]),
    "bce_pos_weight": losses.sigmoid_cross_entropy(
      x["logits"], x["several"], pos_weight=x["weight"]
    ),
    "focal": losses.sigmoid_focal(x["logits"], x["several"], alpha=0.25),
    "focal_no_alpha": losses.sigmoid_focal(
      x["logits"], x["several"], gamma=1.5
    ),
    "huber": losses.huber(x["value"], x["target"], delta=0.7),
    "triplet": losses.triplet_margin(
      x["anchor"], x["positive"], x["negative"], margin=2.0
    ),
    "distillation": losses.distillation(
      x["logits"], x["other"], temperature=3.0
    ),
    "symmetric_kl": losses.symmetric_kl(x["logits"], x["other"]),
    "corn": (corn * questions).sum() / questions.sum(),
    "ranking": ranking(**rank),
    "ranking_negatives": ranking(**rank, negative=x["negative"]),
    "ranking_symmetric": ranking(**rank, symmetric=True),
  }


# What `golden.make_losses` prints.
ORIGINALS: dict[str, list[float]] = {
  "cross_entropy_smoothed": [
    1.666349,
    3.979295,
    2.934772,
    1.512794,
    2.95474,
    2.23534,
  ],
  "cross_entropy_weighted": [2.735455],
  "logit_adjusted": [
    0.1856297,
    1.265067,
    3.112693,
    4.612494,
    1.904229,
    5.774796,
  ],
  "bce": [0.5588461, 0.8796788, 0.984393, 2.093644, 1.092732, 1.574005],
  "bce_pos_weight": [
    0.5893058,
    0.8989022,
    1.725204,
    3.758383,
    1.475482,
    2.168323,
  ],
  "focal": [0.3094811, 1.54763, 0.6383426, 1.783138, 1.546449, 2.530231],
  "focal_no_alpha": [
    0.7146394,
    2.305945,
    2.475157,
    7.335949,
    2.887768,
    4.600574,
  ],
  "huber": [2.468575, 1.419122, 0.9913103, 0.7539798, 0.1263675, 1.09187],
  "triplet": [2.469477, 1.300812, 1.929028, 2.202281, 4.28719, 0.0],
  "distillation": [1.571948, 1.599004, 0.6606908, 1.414086, 1.645494, 3.604275],
  "symmetric_kl": [1.327121, 1.28161, 0.5495062, 1.33881, 1.181107, 2.867139],
  "corn": [1.310925],
  "ranking": [8.755713, 15.10552, 0.01347071, 18.64952, 14.36087, 5.141689],
  "ranking_negatives": [
    11.82483,
    15.1217,
    0.6541815,
    18.65025,
    15.55896,
    7.438637,
  ],
  "ranking_symmetric": [
    6.899742,
    13.3119,
    0.5483166,
    17.34188,
    8.555621,
    5.844199,
  ],
}
