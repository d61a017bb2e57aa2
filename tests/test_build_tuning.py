"""Rates: by layer, by rule, by phase, and from a plateau on."""

import jax
import numpy as np
import pytest

from jft import config, optim, tree
from jft.build.tuning import make_tuning
from jft.errors import UserError

PARAMS = {
  part: {"bias": np.ones(2, np.float32), "kernel": np.ones((2, 2), np.float32)}
  for part in ("stem", "block_00", "block_01", "head")
}


def tuning(*overrides, steps=100):
  return make_tuning(config.load("default", overrides), PARAMS, steps)


def moved(made, phase, steps=1):
  """Returns how far each part's kernel moves in an update."""
  tx = made.tx(phase)
  grads = jax.tree.map(np.ones_like, PARAMS)
  state = tx.init(PARAMS)
  for _ in range(steps):
    updates, state = tx.update(grads, state, PARAMS)
  return {name: -float(part["kernel"][0, 0]) for name, part in updates.items()}


def test_shares_meet_labels_phases_and_decay():
  made = tuning(
    "optim.lr=0.1",
    "optim.schedule=constant",
    "optim.name=adamw",
    "optim.eps=1e-12",
    "optim.weight_decay=0.5",
    "optim.backbone_lr_scale=0.5",
    "optim.layer_decay=0.5",
    "optim.lr_rules=(('block_01/.*', 0.1), ('.*', 1.0))",
    "optim.phase_lr_scales=(1.0, 0.2)",
    "tune.head_first=0.5",
  )
  # Adam's first direction is 1; decay adds 0.5 to it, and both are scaled.
  assert moved(made, 0) == pytest.approx(
    {"head": 0.15, "block_01": 0, "block_00": 0, "stem": 0}, rel=1e-5
  )
  assert moved(made, 1) == pytest.approx(
    {
      "head": 0.2 * 0.15,
      "block_01": 0.2 * 0.15 * 0.5 * 0.5 * 0.1,
      "block_00": 0.2 * 0.15 * 0.5 * 0.5**2,
      "stem": 0.2 * 0.15 * 0.5 * 0.5**3,
    },
    rel=1e-5,
  )
  biases = made.tx(1).update(
    jax.tree.map(np.zeros_like, PARAMS), made.tx(1).init(PARAMS), PARAMS
  )[0]
  assert not any(np.any(part["bias"]) for part in biases.values())
  assert made.lr_at(0) == {"lr/backbone": 0.0, "lr/head": pytest.approx(0.1)}
  assert made.lr_at(50) == pytest.approx(
    {"lr/backbone": 0.2 * 0.05, "lr/head": 0.2 * 0.1}
  )
  assert made.rate_spans == {
    "backbone": pytest.approx((0.05 * 0.1 * 0.5, 0.05 * 0.25), rel=1e-6),
    "head": (0.1, 0.1),
  }


def test_without_shares_the_optimizer_is_the_plain_one():
  made = tuning()
  plain = optim.by_label(made.transforms, made.labels, active=None)
  assert jax.tree.structure(made.tx(0).init(PARAMS)) == jax.tree.structure(
    plain.init(PARAMS)
  )


def test_one_state_for_all_phases():
  made = tuning(
    "tune.unfreeze=gradual",
    "tune.unfreeze_every_steps=10",
    "optim.layer_decay=0.5",
    "optim.phase_lr_scales=(1.0, 0.5, 0.25)",
  )
  states = [made.tx(phase).init(PARAMS) for phase in range(3)]
  assert len({jax.tree.structure(state) for state in states}) == 1
  # Moments and counts of what is frozen rest until it thaws.
  grads, state = jax.tree.map(np.ones_like, PARAMS), states[0]
  for phase in (0, 0, 1):
    _, state = made.tx(phase).update(grads, state, PARAMS)
  counts = {
    jax.tree_util.keystr(path): int(x)
    for path, x in jax.tree_util.tree_flatten_with_path(state)[0]
    if "count" in jax.tree_util.keystr(path)
  }
  found = {
    label: {n for name, n in counts.items() if f"'{label}'" in name}
    for label in ("head", "backbone_1", "backbone_2")
  }
  assert found == {"head": {3}, "backbone_1": {1}, "backbone_2": {0}}


def test_a_plateau_starts_the_schedule():
  made = tuning(
    "tune.unfreeze=gradual",
    "tune.unfreeze_patience=1",
    "optim.lr=1.0",
    "optim.schedule=linear",
  )
  assert made.waiting == 2
  assert made.lr_at(80)["lr/backbone_1"] == 0
  begun = made.begun([60])
  assert begun.waiting == 1
  assert begun.lr_at(59)["lr/backbone_1"] == 0
  assert begun.lr_at(60)["lr/backbone_1"] == 1.0
  assert begun.lr_at(80) == pytest.approx(
    {"lr/head": 0.2, "lr/backbone_1": 0.5, "lr/backbone_2": 0.0}
  )
  # What has begun stays as it was.
  assert begun.begun([70]).lr_at(80)["lr/backbone_1"] == pytest.approx(0.5)
  with pytest.raises(UserError, match="warmup_steps=20 must be below the 5"):
    tuning(
      "tune.unfreeze=gradual", "tune.unfreeze_patience=1",
      "optim.warmup_steps=20",
    ).begun([95])  # fmt: skip


@pytest.mark.parametrize(
  ("overrides", "message"),
  [
    (["optim.phase_lr_scales=(1.0, 0.1)"], "each of the 1 phases"),
    (["optim.lr_rules=(('stem/.*', 1.0),)"], "covered by no rule"),
    (
      [
        "tune.preset=linear_probe",
        "optim.lr_rules=(('stem/.*', 0.1), ('.*', 1.0))",
      ],
      "matches none of the 2 names",
    ),
  ],
)
def test_rates_that_do_not_fit(overrides, message):
  with pytest.raises(UserError, match=message):
    tuning(*overrides)


def test_labels_of_every_leaf():
  made = tuning("tune.unfreeze=gradual", "tune.unfreeze_every_steps=10")
  assert {*tree.flatten(made.labels).values()} == {
    "head",
    "backbone_1",
    "backbone_2",
  }
