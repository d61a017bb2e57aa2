"""FLOPs and memory by the compiler, against numbers counted by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jft import families, loading, tree
from jft.insight import costs

BATCH = 4


def abstract(preset, num_classes):
  family, config = families.preset(preset)
  module = family.module(config, num_classes)
  dummy = loading.input_shapes(family, config)
  variables = jax.eval_shape(module.init, jax.random.key(0), dummy)
  return loading.linen_apply(module), variables


def images(size, channels, batch_size=BATCH):
  shape = (batch_size, size, size, channels)
  return jax.ShapeDtypeStruct(shape, jnp.float32)


@pytest.fixture(scope="module")
def small():
  apply, variables = abstract("resnet14_small", 10)
  return variables, costs.memory(apply, variables, images(16, 1))


def test_the_published_cost_of_resnet50():
  """4.09 G multiply-adds at 224; those with the border's zeros are left out.

  Source: torchvision's ResNet50_Weights, `_ops`.
  """
  found = costs.forward_flops(*abstract("resnet50", 1000), images(224, 3, 1))
  assert 0.97 < found / (2 * 4.089e9) < 1


def test_the_cost_of_bert_base():
  apply, variables = abstract("bert_base", 2)
  ids = jax.ShapeDtypeStruct((1, 128), jnp.int32)
  inputs = {"input_ids": ids, "attention_mask": ids}
  kernels = 128 * 12 * (4 * 768 * 768 + 2 * 768 * 3072)
  pairs = 12 * 2 * 128 * 128 * 768
  found = costs.forward_flops(apply, variables, inputs)
  assert 1 < found / (2 * (kernels + pairs)) < 1.01


def test_weights_and_moments(small):
  variables, rows = small
  weights, params = tree.nbytes(variables), tree.count(variables["params"])
  assert [row.use for row in rows] == ["inference", "head only", "full"]
  assert {row.weights for row in rows} == {weights}
  # AdamW: two float32 moments a parameter, and counters of 4 bytes.
  assert [row.optimizer // 8 for row in rows] == [0, 650, params + 1]
  assert all(row.optimizer - 8 * (row.optimizer // 8) < 8 for row in rows)


def test_totals(small):
  _, rows = small
  image = BATCH * 16 * 16 * 4
  for row in rows:
    parts = row.weights + row.optimizer + row.working + image
    assert 0 <= row.total - parts < 200  # labels, mask, step, key
  inference, head, full = rows
  activations = BATCH * 16 * 16 * 16 * 4  # of the first block
  assert inference.working > activations
  # Training everything keeps each block's maps, and a gradient a parameter.
  assert full.working > 2 * max(head.working, inference.working)
  assert full.flops > 2.5 * inference.flops
  assert head.flops < 1.1 * inference.flops


def test_a_larger_batch_needs_more():
  apply, variables = abstract("resnet14_small", None)
  one, four = (
    costs.memory(apply, variables, images(16, 1, size)) for size in (1, 4)
  )
  assert [row.use for row in four] == ["inference"]
  assert 2 < four[0].working / one[0].working < 8
  assert four[0].flops == pytest.approx(one[0].flops, rel=0.05)


def test_frozen_leaves_need_no_gradient():
  apply, variables = abstract("resnet14_small", 10)
  one = images(16, 1, 1)
  forward = costs.forward_flops(apply, variables, one)
  head = costs.step_flops(
    apply, variables, one, lambda name: name.startswith("head/")
  )
  full = costs.step_flops(apply, variables, one, lambda name: True)
  assert forward <= head < 1.05 * forward
  assert 2.5 * forward < full < 3.5 * forward


def test_shapes_alone():
  found = costs.shapes({"a": np.zeros((2, 3), np.float16)})
  assert found == {"a": jax.ShapeDtypeStruct((2, 3), jnp.float16)}
