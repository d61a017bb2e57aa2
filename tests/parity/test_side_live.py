"""Adapters beside LoRA against peft and plain torch, computed now."""

import jax
import numpy as np
import pytest
from golden import side, side_cases
from variants import some

pytest.importorskip("torch")
pytest.importorskip("peft")
make = pytest.importorskip("golden.make_side")

# transformers 5.24 and peft 0.21 do not know each other's newest names.
pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]


@pytest.mark.parametrize("case", side_cases.CASES)
def test_the_goldens_are_the_originals(case):
  golden = side.read(case)
  side.assert_close(make.record(case), side.numbers(golden), 1e-6)
  if "continued" in golden:
    np.testing.assert_array_equal(make.continued(case), golden["continued"])


@pytest.mark.parametrize(
  "case",
  some(
    side_cases.CASES,
    *("houlsby_bert", "parallel_llama", "ia3_llama", "prompt_gpt2"),
    *("prefix_llama", "vpt_deep"),
  ),
)
def test_another_seed(case, tmp_path):
  want = make.record(case, seed=1)
  side.assert_close(side.computed(tmp_path, case, seed=1), want, 1e-4)
  if side_cases.CASES[case][1] in side_cases.DECODERS:
    return  # transformers' softmax is float32's there
  with jax.enable_x64(True):
    exact = side.computed(tmp_path, case, seed=1, dtype=np.float64)
  side.assert_close(exact, want, 1e-6)
