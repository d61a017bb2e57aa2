import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tuned

from jft import adapters, quantize, tree
from jft.errors import UserError
from jft.tuning.adapters.dora import DoRA
from jft.tuning.adapters.lora import LoRA, Rank

pytest.importorskip("qwix")

KEY = jax.random.key(0)
RULES = ((".*/(query|value|down)/kernel", Rank(2, 4.0)),)


def test_qlora_is_lora_on_what_the_codes_stand_for():
  net = adapters.add(tuned.bert(), LoRA(RULES), key=KEY)
  small = quantize.quantize(net, "nf4")
  kernels = {
    name
    for name, leaf in tree.flatten(small.params).items()
    if leaf.dtype == jnp.uint8
  }
  assert kernels == {
    f"block_0{i}/{name}/kernel"
    for i in range(2)
    for name in (
      "attention/query",
      "attention/key",
      "attention/value",
      "attention/out",
      "mlp/up",
      "mlp/down",
    )
  } | ({"pooler/kernel"} & kernels)
  plain = quantize.dequantize(small)
  variables = tuned.moved(small)
  own = variables["params"]["adapters"]
  got = small.apply(variables, tuned.TEXT)["logits"]
  params = {**plain.params, "adapters": own}
  want = net.apply({"params": params}, tuned.TEXT)["logits"]
  np.testing.assert_allclose(got, want, atol=1e-6)
  merged = adapters.merge(
    adapters.Adapted(
      plain.apply,
      {"params": params},
      plain.spec,
      plain.report,
      plain.inner,
      plain.methods,
      plain.active,
    ),
    tuned.TEXT,
  )
  got = merged.apply(merged.variables, tuned.TEXT)["logits"]
  np.testing.assert_allclose(got, want, atol=1e-5)


def test_int8_changes_outputs_by_little():
  net = tuned.vit(width=64, mlp_width=128)
  small = quantize.quantize(net, "int8")
  got = small.apply(small.variables, tuned.image())["features"]
  want = net.apply(net.variables, tuned.image())["features"]
  # Every weight is off by at most 1/255 of the largest of its output.
  assert 0 < np.abs(got - want).max() < 0.02 * np.abs(want).max()


def test_what_cannot_be():
  net = tuned.bert()
  small = quantize.quantize(net, "int8")
  with pytest.raises(UserError, match="quantised already"):
    quantize.quantize(small, "int8")
  with pytest.raises(UserError, match="add it before"):
    adapters.add(small, LoRA(RULES), key=KEY)
  with pytest.raises(UserError, match="nothing to quantise"):
    quantize.quantize(net, "int8", lambda name: False)
  with pytest.raises(UserError, match="not quantised"):
    quantize.dequantize(net)
  turned = adapters.add(net, DoRA(RULES), key=KEY)
  with pytest.raises(UserError, match="reads the kernels themselves"):
    quantize.quantize(turned, "nf4")
  with_one = quantize.quantize(adapters.add(net, LoRA(RULES), key=KEY), "nf4")
  with pytest.raises(UserError, match="make it float first"):
    adapters.merge(with_one, tuned.TEXT)
