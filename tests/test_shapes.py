import dataclasses

import jax
import pytest

from jft import families, loading, shapes, tree

WITH_DEPTH = {
  name: family
  for name, family in families.FAMILIES.items()
  if hasattr(next(iter(family.presets.values())), "depth")
}


def test_every_transformer_says_its_depth():
  assert sorted(WITH_DEPTH) == sorted(
    ("bert", "distilbert", "gemma", "gpt2", "llama", "roberta", "vit")
  )


@pytest.mark.parametrize("name", sorted(WITH_DEPTH))
def test_one_block_traced_is_all_blocks_traced(name):
  family = WITH_DEPTH[name]
  for preset in (min(family.presets), max(family.presets)):
    config = family.presets[preset]
    kinds = getattr(config, "layer_types", ())
    more = {"layer_types": kinds[-3:]} if kinds else {}
    config = dataclasses.replace(config, depth=3, **more)
    classes = config.vocab_size if getattr(config, "task", "") == "lm" else 7
    module = family.module(config, classes)
    inputs = loading.input_shapes(family, config)
    whole = jax.eval_shape(module.init, jax.random.key(0), inputs)
    assert shapes.variables(module, config, inputs) == tree.flatten(whole)


def test_nets_without_depth_are_traced_whole():
  family, config = families.preset("resnet18")
  module = family.module(config, 7)
  inputs = loading.input_shapes(family, config)
  whole = jax.eval_shape(module.init, jax.random.key(0), inputs)
  assert shapes.variables(module, config, inputs) == tree.flatten(whole)
