"""What torch, torchvision and papers' own formulas make of `loss_cases`.

  cd tests && python -m golden.make_losses

prints ORIGINALS of `loss_cases` anew; needs torch and torchvision.
"""

import torch
import torch.nn.functional as F
from golden import loss_cases
from torch import nn


def originals(seed=0):
  """Returns {name: array}."""
  x = {n: torch.from_numpy(a) for n, a in loss_cases.given(seed).items()}
  label = x["label"].long()
  found = {
    "cross_entropy_smoothed": F.cross_entropy(
      x["logits"], label, reduction="none", label_smoothing=0.1
    ),
    "cross_entropy_weighted": F.cross_entropy(
      x["logits"], label, weight=x["weight"]
    ),
    "logit_adjusted": F.cross_entropy(
      x["logits"] + 1.5 * x["prior"], label, reduction="none"
    ),
    "bce": nn.BCEWithLogitsLoss(reduction="none")(
      x["logits"], x["several"]
    ).mean(-1),
    "bce_pos_weight": nn.BCEWithLogitsLoss(
      reduction="none", pos_weight=x["weight"]
    )(x["logits"], x["several"]).mean(-1),
    **focal(x),
    "huber": nn.HuberLoss(reduction="none", delta=0.7)(x["value"], x["target"]),
    "triplet": nn.TripletMarginLoss(2.0, reduction="none")(
      x["anchor"], x["positive"], x["negative"]
    ),
    "distillation": 9
    * F.kl_div(
      F.log_softmax(x["logits"] / 3, -1),
      F.softmax(x["other"] / 3, -1),
      reduction="none",
    ).sum(-1),
    "symmetric_kl": r_drop_kl(x["logits"], x["other"]),
    "corn": corn(x["logits"], x["rank"]),
    "ranking": ranking(x["anchor"], x["positive"]),
    "ranking_negatives": ranking(
      x["anchor"], torch.cat([x["positive"], x["negative"]])
    ),
    "ranking_symmetric": (
      ranking(x["anchor"], x["positive"]) + ranking(x["positive"], x["anchor"])
    )
    / 2,
  }
  return {name: value.numpy() for name, value in found.items()}


def focal(x):
  """torchvision's focal loss, with and without its alpha."""
  # Mends a torchvision without operators.
  from golden.make_resnet import torchvision

  def of(**options):
    return torchvision.ops.sigmoid_focal_loss(
      x["logits"], x["several"], **options
    ).sum(-1)

  return {"focal": of(alpha=0.25), "focal_no_alpha": of(alpha=-1, gamma=1.5)}


def r_drop_kl(p, q):
  """The `compute_kl_loss` of R-Drop's README, each example by itself."""
  one = F.kl_div(F.log_softmax(p, -1), F.softmax(q, -1), reduction="none")
  other = F.kl_div(F.log_softmax(q, -1), F.softmax(p, -1), reduction="none")
  return (one.sum(-1) + other.sum(-1)) / 2


def corn(logits, rank):
  """Equation 6 of CORN's paper: conditional subsets, one after another."""
  total, count = torch.zeros(()), 0
  for j in range(logits.shape[1]):
    subset = rank >= j
    total += F.binary_cross_entropy_with_logits(
      logits[subset, j], (rank[subset] > j).float(), reduction="sum"
    )
    count += int(subset.sum())
  return total / count


def ranking(query, passages):
  """The formula of sentence-transformers' ranking loss, its scale 20."""
  scores = 20 * F.normalize(query, dim=-1) @ F.normalize(passages, dim=-1).T
  return F.cross_entropy(scores, torch.arange(len(query)), reduction="none")


if __name__ == "__main__":
  print("ORIGINALS: dict[str, list[float]] = {")
  for name, value in originals().items():
    shown = [float(f"{v:.7g}") for v in value.reshape(-1).tolist()]
    print(f'  "{name}": {shown},')
  print("}")
