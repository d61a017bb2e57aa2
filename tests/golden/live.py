"""Compares an image model with its original, computed now.

In float64 both agree to twelve digits, so the code is the same function; in
float32 the error is that of rounding. BatchNorm over the few values a channel
that small images leave magnifies it, in torch as here: training is compared in
float64 alone.
"""

import jax
import numpy as np
from golden import make_resnet, nets, packed, verified

TOLERANCE = 1e-4
EXACT = 1e-9
WHAT = "logits, features, blocks; gradients{} in float64"


def assert_golden(family, name, got):
  """Checks that a golden file holds what the original computes.

  Args:
    family: names the file; name: of the case in it.
    got: the record, computed now.
  """
  want = packed.read(family)[name]
  assert nets.max_error({n: got[n] for n in want}, want) < EXACT


def assert_same(case, want, seed, rounded=None):
  """Returns the largest error in float32; fails where the two differ.

  Through a deep net with drawn weights rounding grows from block to block: in
  float32 jft may then be as far off as the original is from itself.

  Args:
    case: of jft.
    want: what the original computes, with weights and images of the seed.
    seed: of weights and images.
    rounded: what the original computes in float32.
  """
  inference, training = nets.inference(want), nets.training(want)
  error = nets.max_error(nets.evaluated(case, seed), inference)
  own = nets.max_error(rounded, inference) if rounded else 0.0
  assert error < max(TOLERANCE, 2 * own)
  with jax.enable_x64(True):
    exact = nets.evaluated(case, seed, np.float64)
    assert nets.max_error(exact, inference) < EXACT
    exact = nets.trained(case, seed, np.float64)
    assert nets.max_error(exact, training) < EXACT
  return error


def confirm(case, reference, *, stats, error, **named):
  """Records that `assert_same` passed, or looks it up.

  Args:
    case: of jft.
    reference: the package whose code is the other side.
    stats: whether there are running statistics.
    error: the largest in float32.
    named: `preset` or `config`.
  """
  target = nets.target(case)
  params = (x.size for n, x in target.items() if n.startswith("params/"))
  row = verified.row(
    layout=case.layout,
    reference=reference,
    version=make_resnet.version_of(reference),
    params=sum(params),
    max_error=error,
    what=WHAT.format(" and statistics" if stats else ""),
    **named,
  )
  verified.confirm(case.family, [row])


def confirm_facts(family, layout, found, reference_of):
  """Checks names, shapes and counts of presets; records them or looks them up.

  Args:
    family, layout: whose.
    found: {preset: [parameters, digest]} of the originals, computed now.
    reference_of: (layout, preset) -> the package whose code is the other side.
  """
  assert found == packed.presets(family)[layout]
  rows = []
  for preset, (params, _) in found.items():
    reference = reference_of(layout, preset)
    rows.append(
      verified.row(
        preset=preset,
        layout=layout,
        reference=reference,
        version=make_resnet.version_of(reference),
        params=params,
        what="names and shapes",
      )
    )
  verified.confirm(family, rows)
