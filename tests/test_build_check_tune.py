import pytest

from jft import config
from jft.build import check
from jft.errors import UserError

GRADUAL = "tune.unfreeze=gradual"


def recipe(*overrides):
  base = ["model.source=jft:x", "data.train=sklearn:digits", "train.steps=10"]
  return config.load("default", [*base, *overrides])


@pytest.mark.parametrize(
  ("overrides", "message"),
  [
    (["tune.preset=surgical"], "set tune.blocks=1 or more."),
    (["tune.preset=norm_only", "tune.blocks=1"], "needs tune.preset='top_bl"),
    (
      ["tune.unfreeze=slow"],
      "tune.unfreeze='slow': choose one of gradual.",
    ),
    (
      [GRADUAL],
      "give exactly one of tune.unfreeze_every_steps,"
      " tune.unfreeze_every_epochs, tune.unfreeze_patience (got none).",
    ),
    (
      [GRADUAL, "tune.unfreeze_every_steps=2", "tune.unfreeze_patience=1"],
      "(got tune.unfreeze_every_steps=2, tune.unfreeze_patience=1).",
    ),
    (
      ["tune.unfreeze_every_steps=2"],
      "tune.unfreeze_every_steps=2 needs tune.unfreeze='gradual'.",
    ),
    (
      ["tune.unfreeze_every_steps=-2", GRADUAL],
      "tune.unfreeze_every_steps=-2 must be finite and not negative.",
    ),
    (
      [GRADUAL, "tune.unfreeze_patience=1", "tune.head_first=0.5"],
      "begins with the head anyway: leave tune.head_first=0",
    ),
    (
      [GRADUAL, "tune.unfreeze_patience=1", "tune.preset=lp_ft"],
      "choose another preset than 'lp_ft'",
    ),
    (
      [GRADUAL, "tune.unfreeze_patience=1", "tune.preset=linear_probe"],
      "nothing joins the head under tune.preset='linear_probe'",
    ),
    (
      [GRADUAL, "tune.unfreeze_patience=3", "stop.patience=2"],
      "stop.patience=2 ends the run before a plateau of",
    ),
    (
      [GRADUAL, "tune.unfreeze_patience=1", "tune.unfreeze_blocks=0"],
      "tune.unfreeze_blocks=0 must be above 0",
    ),
    (["optim.layer_decay=0.0"], "optim.layer_decay=0.0 must be above 0 and at"),
    (["optim.layer_decay=1.5"], "optim.layer_decay=1.5 must be above 0 and at"),
    (
      ["optim.lr_rules=(('head/.*', 'a'),)"],
      "optim.lr_rules holds ('head/.*', 'a'): expected ((regex, share), ...),",
    ),
    (["optim.lr_rules=(('.*', 0.0),)"], "optim.lr_rules holds ('.*', 0.0)"),
    (
      ["optim.phase_lr_scales=(1.0, 0)"],
      "optim.phase_lr_scales=(1.0, 0) must be factors above 0, one a phase",
    ),
    (
      [
        *("optim.name=schedule_free", "optim.schedule=constant"),
        "optim.layer_decay=0.5",
      ],
      "a share of an update is no share of the rate",
    ),
    (
      ["tune.batch_norm=off"],
      "choose one of auto, frozen, update, recalibrate.",
    ),
    (
      ["tune.recalibrate_batches=0"],
      "recalibrate_batches=0 must be above 0",
    ),
    (["tune.measure_batches=0"], "tune.measure_batches=0 must be above 0"),
  ],
)
def test_contradictions(overrides, message):
  with pytest.raises(UserError) as error:
    check(recipe(*overrides))
  assert message in str(error.value)


@pytest.mark.parametrize(
  "overrides",
  [
    ["tune.preset=lp_ft", "tune.head_first=0.3"],
    ["tune.preset=surgical", "tune.blocks=2"],
    [GRADUAL, "tune.unfreeze_every_epochs=0.5"],
    [GRADUAL, "tune.unfreeze_patience=2", "stop.patience=2"],
    ["optim.lr_rules=(('head/.*', 1.0), ('.*', 0.1))"],
  ],
)
def test_what_goes_together(overrides):
  check(recipe(*overrides))
