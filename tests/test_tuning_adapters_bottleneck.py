import jax
import numpy as np
import pytest
import tuned
from golden import side
from variants import some

from jft import adapters, tree
from jft.errors import UserError
from jft.tuning.adapters.bottleneck import houlsby, parallel

CASES = (
  "houlsby_bert",
  "houlsby_llama",
  "houlsby_vit",
  "parallel_bert",
  "parallel_llama",
)
KEY = jax.random.key(0)


@pytest.mark.parametrize(
  "case", some(CASES, "houlsby_bert", "houlsby_vit", "parallel_llama")
)
def test_as_the_papers_formula_in_torch(case, tmp_path):
  want = side.numbers(side.read(case))
  side.assert_close(side.computed(tmp_path, case), want, 1e-5)


def test_parallel_begins_as_the_base_and_serial_near_it():
  net = tuned.bert()
  want = net.apply(net.variables, tuned.TEXT)["logits"]
  beside = adapters.add(net, parallel(4), key=KEY)
  got = beside.apply(beside.variables, tuned.TEXT)["logits"]
  np.testing.assert_array_equal(got, want)
  behind = adapters.add(net, houlsby(4), key=KEY)
  got = behind.apply(behind.variables, tuned.TEXT)["logits"]
  assert 0 < np.abs(got - want).max() < 1e-3


def test_draws_are_cut_off_at_two_deviations():
  net = adapters.add(tuned.bert(), houlsby(8, std=0.01), key=KEY)
  flat = tree.flatten(net.params["adapters"])
  kernels = np.concatenate(
    [np.ravel(x) for name, x in flat.items() if name.endswith("kernel")]
  )
  assert np.abs(kernels).max() <= 0.02
  # Of a normal cut off at two deviations: 0.8796 of them.
  assert np.std(kernels) == pytest.approx(0.0088, rel=0.1)
  # Two blocks, two branches: 8 x 8 kernels and 8 biases, twice each.
  assert tree.count(net.params["adapters"]) == 2 * 2 * 2 * (64 + 8)


def test_what_it_cannot_be():
  with pytest.raises(UserError, match="is for transformers"):
    adapters.add(tuned.resnet(), houlsby(4), key=KEY)
  with pytest.raises(UserError, match=r"width 9 .* must be 1 to 8"):
    adapters.add(tuned.bert(), houlsby(9), key=KEY)
  with pytest.raises(UserError, match="load it with scan=False"):
    adapters.add(tuned.llama(scan=True), parallel(4), key=KEY)
  rules = (("block_00/mlp/up", True),)
  with pytest.raises(UserError, match="not as many channels"):
    adapters.add(tuned.bert(), houlsby(4, rules=rules), key=KEY)
  net = adapters.add(tuned.bert(), houlsby(4), key=KEY)
  with pytest.raises(UserError, match="cannot be merged"):
    adapters.merge(net, tuned.TEXT)


def test_under_remat_it_is_added_once():
  plain = adapters.add(tuned.bert(), parallel(4), key=KEY)
  again = adapters.add(tuned.bert(remat=True), parallel(4), key=KEY)
  variables = tuned.moved(plain)
  got = again.apply(variables, tuned.TEXT)["logits"]
  want = plain.apply(variables, tuned.TEXT)["logits"]
  np.testing.assert_allclose(got, want, atol=1e-6)
