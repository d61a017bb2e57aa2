"""Methods that are each tested alone, together: from config to summary."""

import math

import numpy as np
import pytest
import tiny
from test_build_objective import classes, pairs, several
from test_build_teacher import with_teacher
from variants import some

from jft import build, loop, restored, tree

LORA = ("adapter.name=lora", "adapter.rank=2", "tune.preset=full")
NF4 = ("model.quantize=nf4", "tune.blocks=0")
SAM = ("optim.sam_rho=0.05", "tune.preset=full", "tune.blocks=0")
EMA = ("average.name=ema", "average.decay=0.5")
COMBINATIONS = {
  "lora, teacher": (with_teacher, (*LORA, "tune.blocks=0")),
  "lora, nf4, teacher": (with_teacher, (*LORA, *NF4)),
  "lora, ema, balanced weights": (
    classes,
    (*LORA, *EMA, "tune.blocks=0", "task.class_balance=balanced"),
  ),
  "sam, retrieval": (pairs, SAM),
  "lora, retrieval": (pairs, (*LORA, "tune.blocks=0")),
  "sam, ema, several labels": (several, (*SAM, *EMA)),
  "gradual, ema, l2-sp": (
    classes,
    (
      *("tune.preset=full", "tune.blocks=0", "tune.unfreeze=gradual"),
      *("tune.unfreeze_every_steps=1", "regularise.l2_sp=0.1", *EMA),
    ),
  ),
  "r-drop, layer decay": (
    classes,
    (
      *("task.r_drop=1.0", "model.dropout=0.1", "optim.layer_decay=0.5"),
      *("tune.preset=full", "tune.blocks=0"),
    ),
  ),
}


@pytest.mark.slow
@pytest.mark.parametrize(
  "name", some(COMBINATIONS, "lora, nf4, teacher", "sam, retrieval")
)
def test_they_train_what_they_say_and_nothing_else(name, tmp_path, monkeypatch):
  tiny.draw_nothing(monkeypatch)
  if "nf4" in name:
    pytest.importorskip("qwix")
  make, lines = COMBINATIONS[name]
  config = make(tmp_path, *lines)
  before = build.build(config).state
  summary = loop.fit(config, tmp_path / "run")
  assert summary["status"] == "completed"
  assert all(map(math.isfinite, summary["metrics"].values()))
  _, _, after = restored.best(tmp_path / "run")
  was, now = map(tree.flatten, (before.params, after.params))
  assert was.keys() == now.keys()
  moved = [n for n, leaf in was.items() if not np.array_equal(leaf, now[n])]
  assert len(moved) > len(was) / 2
  assert tiny.same_bits(*map(tree.flatten, (before.frozen, after.frozen)))
