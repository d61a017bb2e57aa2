"""Vision transformers against timm and transformers, computed now.

In float64 both agree to the digits that a record keeps, so the code is the same
function; in float32 the error is that of rounding.
"""

import json
import re

import jax
import numpy as np
import pytest
from golden import verified, vit_cases
from golden import vit as case
from variants import some

pytest.importorskip("torch")
make_vit = pytest.importorskip("golden.make_vit")

pytestmark = pytest.mark.parity

TOLERANCE = 1e-4
EXACT = 1e-6  # a record is rounded to float32


@pytest.mark.parametrize("name", vit_cases.CASES)
def test_the_goldens_are_the_originals(name):
  got, texts = case.split(make_vit.record(name))
  want, known = case.read(name)
  assert texts == known
  assert max(case.errors(got, want).values()) < EXACT


@pytest.mark.parametrize(
  "name",
  some(
    vit_cases.CASES,
    *("vit_plain", "vit_distilled", "vit_dinov2", "vit_mean"),
    *("vit_hf_clip", "vit_hf_registers", "vit_hf_deit"),
  ),
)
def test_another_seed(name):
  want, texts = case.split(make_vit.record(name, seed=1))
  got = case.computed(name, texts, seed=1)
  assert got.keys() == want.keys()
  error = max(case.errors(got, want).values())
  assert error < TOLERANCE
  with jax.enable_x64(True):
    case.target.cache_clear()
    exact = case.computed(name, texts, seed=1, dtype=np.float64)
    case.target.cache_clear()
  found = case.errors(exact, want)
  if name in vit_cases.HF:  # its softmax is float32, which shows only here
    key = re.compile(r"grad/.*(key|k_proj)\.bias")
    found = {n: e for n, e in found.items() if not key.fullmatch(n)}
  assert max(found.values()) < EXACT
  reference = "transformers" if name in vit_cases.HF else "timm"
  verified.confirm(
    "vit",
    [
      verified.row(
        config=name,
        layout=case.loaded(
          case.config_of(name, texts), case.classes(texts), case.source(texts)
        )[1].name,
        reference=reference,
        version=make_vit.VERSIONS[reference],
        params=sum(int(np.prod(s)) for s in texts["shapes"].values()),
        max_error=error,
        what="outputs, blocks, gradients",
      )
    ],
  )


def test_names_and_shapes():
  path = make_vit.FOLDER / "vit_presets.json"
  want = {n: tuple(x) for n, x in json.loads(path.read_text()).items()}
  assert make_vit.digests() == want
