import pytest

from jft import config
from jft.build.phases import make_phases
from jft.errors import UserError

PARAMS = {
  "stem": {"w": 0},
  "block_00": {"w": 0},
  "block_01": {"w": 0},
  "norm": {"scale": 0},
  "head": {"w": 0},
}


def phases(*overrides, steps=100, per_epoch=10.0, chosen=(), params=PARAMS):
  loaded = config.load("default", [f"tune.{text}" for text in overrides])
  labels, made = make_phases(loaded, params, steps, per_epoch, chosen)
  first = {name: next(iter(part.values())) for name, part in labels.items()}
  return first, [(p.start_step, sorted(p.labels)) for p in made]


def test_linear_probing_then_fine_tuning():
  everything = ["backbone", "head"]
  assert phases("preset=lp_ft")[1] == [(0, ["head"]), (50, everything)]
  asked = phases("preset=lp_ft", "head_first=0.2")
  assert asked[1] == [(0, ["head"]), (20, everything)]
  assert asked == phases("head_first=0.2")


LABELS = {
  "stem": "backbone_2",
  "block_00": "backbone_2",
  "block_01": "backbone_1",
  "norm": "backbone_1",
  "head": "head",
}
ACTIVE = [
  ["head"],
  ["backbone_1", "head"],
  ["backbone_1", "backbone_2", "head"],
]


@pytest.mark.parametrize(
  ("thaw", "starts"),
  [
    ("unfreeze_every_steps=30", [0, 30, 60]),
    ("unfreeze_every_epochs=1.25", [0, 12, 25]),
    ("unfreeze_patience=2", [0, None, None]),
  ],
)
def test_gradual_by_steps_epochs_and_plateau(thaw, starts):
  labels, made = phases("unfreeze=gradual", thaw)
  assert labels == LABELS
  assert made == list(zip(starts, ACTIVE, strict=True))


def test_gradual_of_what_a_preset_trains_and_by_more_blocks():
  by = ("unfreeze=gradual", "unfreeze_every_steps=10")
  top = phases(*by, "preset=top_blocks", "blocks=1")
  assert top[1] == [(0, ["head"]), (10, ["backbone_1", "head"])]
  assert top[0]["block_00"] == "freeze"
  assert len(phases(*by, "unfreeze_blocks=2")[1]) == 2


def test_an_adapter_begins_with_the_head():
  rules = "rules=(('head/.*','head'),('norm/.*','adapter'),('.*','backbone'))"
  made = phases(
    "preset=", rules, "unfreeze=gradual", "unfreeze_every_steps=10"
  )[1]
  assert made[0] == (0, ["adapter", "head"])


@pytest.mark.parametrize(
  ("every", "steps"),
  [("unfreeze_every_steps=50", 100), ("unfreeze_every_epochs=0.01", 100)],
)
def test_phases_that_do_not_fit(every, steps):
  with pytest.raises(UserError, match=r"3 phases of .* steps do not fit into"):
    phases("unfreeze=gradual", every, steps=steps)


def test_the_chosen_parts():
  labels, _ = phases(
    "preset=surgical", "blocks=2", chosen=["below", "block_01"]
  )
  assert labels == {
    "stem": "backbone",
    "block_00": "freeze",
    "block_01": "backbone",
    "norm": "freeze",
    "head": "head",
  }
