"""The classifier: kinds, first values and names."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from golden import resnet as case

from jft import tree
from jft.errors import UserError
from jft.models import resnet
from jft.models.head import Head


def variables(head):
  module = resnet.module(case.CONFIGS["tiny"], head)
  image = jnp.zeros((1, 8, 8, 3))
  drawn = jax.jit(module.init, compiler_options=case.OPTIONS)(
    jax.random.key(0), image
  )
  return module, drawn


def test_an_mlp_head_has_named_layers():
  _, drawn = variables(Head(3, widths=(5,)))
  shapes = {
    name: leaf.shape
    for name, leaf in tree.flatten(drawn["params"]["head"]).items()
  }
  width = drawn["params"]["head"]["dense_00"]["kernel"].shape[0]
  assert shapes == {
    "dense_00/kernel": (width, 5),
    "dense_00/bias": (5,),
    "out/kernel": (5, 3),
    "out/bias": (3,),
  }


def test_a_prior_is_what_a_zero_head_predicts():
  module, drawn = variables(Head(3, init="zeros", prior=(6.0, 3.0, 1.0)))
  image = jax.random.normal(jax.random.key(1), (2, 8, 8, 3))
  out = jax.jit(module.apply, compiler_options=case.OPTIONS)(drawn, image)
  shares = jax.nn.softmax(out["logits"])
  np.testing.assert_allclose(shares, [[0.6, 0.3, 0.1]] * 2, rtol=1e-6)


@pytest.mark.parametrize(
  ("fields", "message"),
  [
    ({"num_classes": 0}, "positive num_classes"),
    ({"widths": (4, 0)}, "positive num_classes and widths"),
    ({"init": "zero"}, "must be one of"),
    ({"dropout": 1.0}, r"in \[0, 1\)"),
    ({"activation": "sin"}, "activation must be one of"),
    ({"prior": (0.5, 0.5)}, "needs 3 positive shares"),
    ({"prior": (0.5, 0.5, 0.0)}, "needs 3 positive shares"),
  ],
)
def test_what_no_head_can_have(fields, message):
  with pytest.raises(UserError, match=message):
    Head(**{"num_classes": 3, **fields})
