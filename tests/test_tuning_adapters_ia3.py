import jax
import numpy as np
import pytest
import tuned
from golden import side
from variants import some

from jft import adapters, tree
from jft.errors import UserError
from jft.tuning.adapters.ia3 import IA3

CASES = ("ia3_bert", "ia3_llama", "ia3_gpt2")
KEY = jax.random.key(0)


@pytest.mark.parametrize("case", CASES)
def test_as_peft(case, tmp_path):
  want = side.numbers(side.read(case))
  side.assert_close(side.computed(tmp_path, case), want, 1e-5)


@pytest.mark.parametrize("case", some(CASES, "ia3_llama"))
def test_merged_it_is_the_same(case, tmp_path):
  got = {"logits": side.merged(tmp_path, case)}
  side.assert_close(got, {"logits": side.read(case)["logits"]}, 1e-5)


def test_it_begins_as_the_base_to_the_bit():
  net = tuned.vit()
  with_one = adapters.add(net, IA3(), key=KEY)
  sizes = {
    name: leaf.shape
    for name, leaf in tree.flatten(with_one.params["adapters"]).items()
  }
  assert sizes == {
    f"default/block_0{i}/{name}/scale": shape
    for i in range(2)
    for name, shape in {
      "attention/key/output": (8,),
      "attention/value/output": (8,),
      "mlp/down/input": (12,),
    }.items()
  }
  got = with_one.apply(with_one.variables, tuned.image())["logits"]
  want = net.apply(net.variables, tuned.image())["logits"]
  np.testing.assert_array_equal(got, want)


def test_convolutions_are_scaled_and_merged():
  net = tuned.resnet()
  rules = ((r"block_00/conv_1/kernel", "output"), ("stem/conv/kernel", "input"))
  known = tree.flatten(net.params)
  kernels = [n for n in known if n.endswith("kernel") and known[n].ndim == 4]
  rules = ((kernels[0], "output"), (kernels[1], "input"))
  net = adapters.add(net, IA3(rules), key=KEY)
  variables = tuned.moved(net)
  image = np.random.default_rng(0).normal(size=(1, 28, 28, 1))
  image = image.astype(np.float32)
  merged = IA3(rules).merge(
    adapters.base(variables["params"]),
    variables["params"]["adapters"]["default"],
  )
  got = net.apply({**variables, "params": merged}, image)["logits"]
  want = net.apply(variables, image)["logits"]
  before = net.apply(net.variables, image)["logits"]
  np.testing.assert_allclose(got, want, atol=1e-4)
  assert np.abs(want - before).max() > 0.01


@pytest.mark.parametrize(
  ("rules", "message"),
  [
    ((("embeddings/word/embedding", "output"),), "leave it out"),
    ((("head/kernel", "inner"),), 'give "output" or "input"'),
    ((("block_00/attn/.*", "output"),), "matches none"),
  ],
)
def test_what_it_cannot_scale(rules, message):
  with pytest.raises(UserError, match=message):
    adapters.add(tuned.bert(), IA3(rules), key=KEY)
