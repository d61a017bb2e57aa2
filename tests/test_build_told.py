from test_build_tuning import tuning

from jft.build import told


def test_rates_parts_and_phases():
  made = tuning(
    "optim.lr=0.1",
    "optim.layer_decay=0.5",
    "optim.phase_lr_scales=(1.0, 0.5)",
    "tune.preset=lp_ft",
  )
  facts = {"surgical": {"parts": ["a"], "ratios": {"a": 0.5, "b": 0.25}}}
  assert told.told(made, facts) == [
    "relative gradient norms (the chosen parts are marked):",
    "  * a            5.000e-01",
    "    b            2.500e-01",
    "peak learning rates: backbone 0.0125 to 0.05; head 0.1",
    "trained:",
    "  from step 0: head",
    "  from step 50: backbone, head, all rates x 0.5",
  ]


def test_nothing_special_is_not_told():
  assert told.told(tuning(), {}) == []
