"""Text encoders under the names of other projects' files.

The lists are what the modules in their sources are called, for one block; what
PyTorch's are called is compared with transformers in test_models_text.
"""

import dataclasses
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from golden import text_cases

import jft
from jft import families, tree
from jft.pretrained import export
from jft.pretrained.formats import safetensors

KEY = jax.random.key(0)


def both(path, leaves):
  return [f"{path}/{leaf}" for leaf in leaves]


def dense(*paths):
  return [name for path in paths for name in both(path, ("kernel", "bias"))]


def norms(*paths):
  return [name for path in paths for name in both(path, ("scale", "bias"))]


def flax_block(family):
  if family == "distilbert":
    layer = "distilbert/transformer/layer/0"
    parts = [f"attention/{x}_lin" for x in ("q", "k", "v", "out")]
    return dense(
      *(f"{layer}/{x}" for x in (*parts, "ffn/lin1", "ffn/lin2"))
    ) + (norms(f"{layer}/sa_layer_norm", f"{layer}/output_layer_norm"))
  layer = f"{family}/encoder/layer/0"
  parts = [f"attention/self/{x}" for x in ("query", "key", "value")]
  parts += ["attention/output/dense", "intermediate/dense", "output/dense"]
  return dense(*(f"{layer}/{x}" for x in parts)) + norms(
    f"{layer}/attention/output/LayerNorm", f"{layer}/output/LayerNorm"
  )


FLAX_HEADS = {
  ("bert", "classification"): dense("bert/pooler/dense", "classifier"),
  ("bert", "tokens"): dense("classifier"),
  ("bert", "mlm"): [
    *dense("cls/predictions/transform/dense"),
    *norms("cls/predictions/transform/LayerNorm"),
    "cls/predictions/bias",
  ],
  ("roberta", "classification"): dense(
    "classifier/dense", "classifier/out_proj"
  ),
  ("roberta", "tokens"): dense("classifier"),
  ("roberta", "mlm"): [
    *dense("lm_head/dense"),
    *norms("lm_head/layer_norm"),
    "lm_head/bias",
  ],
  ("distilbert", "classification"): dense("pre_classifier", "classifier"),
  ("distilbert", "tokens"): dense("classifier"),
  ("distilbert", "mlm"): [
    *dense("vocab_transform"),
    *norms("vocab_layer_norm"),
    "vocab_projector/bias",
  ],
}


def flax_names(family, task):
  kinds = ["word", "position"] + ["token_type"] * (family != "distilbert")
  root = f"{family}/embeddings"
  return [
    *(f"{root}/{kind}_embeddings/embedding" for kind in kinds),
    *norms(f"{root}/LayerNorm"),
    *flax_block(family),
    *FLAX_HEADS[family, task],
  ]


def google_names(task):
  layer = "bert/encoder/layer_0"
  parts = [f"attention/self/{x}" for x in ("query", "key", "value")]
  parts += ["attention/output/dense", "intermediate/dense", "output/dense"]
  scales = ["bert/embeddings/LayerNorm", f"{layer}/attention/output/LayerNorm"]
  scales.append(f"{layer}/output/LayerNorm")
  heads = ["output_weights", "output_bias"]
  if task == "classification":
    heads += dense("bert/pooler/dense")
  if task == "mlm":
    words = "cls/predictions"
    heads = [*dense(f"{words}/transform/dense"), f"{words}/output_bias"]
    scales.append(f"{words}/transform/LayerNorm")
  return [
    *(
      f"bert/embeddings/{kind}_embeddings"
      for kind in ("word", "position", "token_type")
    ),
    *dense(*(f"{layer}/{x}" for x in parts)),
    *(name for path in scales for name in both(path, ("gamma", "beta"))),
    *heads,
  ]


def made(family, task):
  """Returns a config of one block, a module of it and drawn variables."""
  known = families.FAMILIES[family]
  config = dataclasses.replace(
    known.from_hf(text_cases.SETTINGS[family]), task=task, depth=1
  )
  module = known.module(config, 40 if task == "mlm" else 5)
  shapes = jax.eval_shape(module.init, KEY, text_cases.inputs(family))
  rng = np.random.default_rng(1)
  return config, {
    name: rng.normal(0, 0.3, x.shape).astype(x.dtype)
    for name, x in tree.flatten(shapes).items()
  }


def named(family, name):
  found = {d.name: d for d in families.FAMILIES[family].dialects}
  return found[name]


@pytest.mark.parametrize("task", text_cases.CLASSES)
@pytest.mark.parametrize("family", text_cases.SETTINGS)
def test_former_flax_names(family, task):
  config, flat = made(family, task)
  dialect = named(family, "flax")
  names = flax_names(family, task)
  arrays = export.to_source(flat, dialect.table(config, dict.fromkeys(names)))
  assert sorted(arrays) == sorted(names)
  assert dialect.fits({name: x.shape for name, x in arrays.items()})
  kernel = "params/block_00/mlp/up/kernel"
  source = dialect.table(config, dict.fromkeys(names))[kernel].source
  np.testing.assert_array_equal(arrays[source], flat[kernel])  # (in, out)


@pytest.mark.parametrize("task", text_cases.CLASSES)
def test_google_names(task):
  config, flat = made("bert", task)
  dialect = named("bert", "google")
  arrays = export.to_source(flat, dialect.table(config, {}))
  assert sorted(arrays) == sorted(google_names(task))
  assert dialect.fits({name: x.shape for name, x in arrays.items()})
  assert arrays["bert/encoder/layer_0/intermediate/dense/kernel"].shape == (
    24,
    40,
  )
  if task != "mlm":
    assert arrays["output_weights"].shape == (5, 24)


def test_googles_gelu_is_by_tanh():
  config, _ = made("bert", "classification")
  adjust = named("bert", "google").adjust
  assert adjust(config).activation == "gelu_new"
  relu = dataclasses.replace(config, activation="relu")
  assert adjust(relu) == relu


@pytest.mark.parametrize(
  "name",
  [
    "global_step",
    "bert/embeddings/word_embeddings/adam_m",
    "output_weights/adam_v",
    "cls/seq_relationship/output_weights",
    "cls/predictions/output_bias",
    "cls/predictions/transform/LayerNorm/gamma",
  ],
)
def test_what_a_google_checkpoint_holds_besides(name):
  config, _ = made("bert", "classification")
  rules = named("bert", "google").dropped(config)
  assert any(re.fullmatch(pattern, name) for pattern, _ in rules)


@pytest.mark.parametrize("name", ["flax", "google"])
def test_a_load_from_such_a_file_is_the_same_network(name, tmp_path):
  config, flat = made("bert", "classification")
  dialect = named("bert", name)
  shapes = dict.fromkeys(flax_names("bert", "classification"))
  arrays = export.to_source(flat, dialect.table(config, shapes))
  source = tmp_path / "model.safetensors"
  safetensors.write(source, arrays)
  text = '{"model_type": "bert", "vocab_size": 40, "hidden_size": 24,'
  text += '"num_hidden_layers": 1, "num_attention_heads": 3,'
  text += '"intermediate_size": 40, "max_position_embeddings": 16}'
  (tmp_path / "config.json").write_text(text)
  net = jft.load_pretrained(str(source))
  assert net.spec.num_classes == 5
  assert net.spec.config == dialect.adjust(config)
  loaded = tree.flatten(net.variables)
  assert loaded.keys() == flat.keys()
  for leaf, array in flat.items():
    np.testing.assert_array_equal(jnp.asarray(loaded[leaf]), array)


@pytest.mark.parametrize("prefix", ["", "params/bert/", "bert/"])
def test_prefixes_of_flax_files(prefix):
  config, _ = made("bert", "classification")
  anchor = f"{prefix}embeddings/word_embeddings/embedding"
  table = named("bert", "flax").table(config, {anchor: None})
  assert table["params/embeddings/word/embedding"].source == anchor
  head = table["params/head/kernel"].source
  assert head == prefix.removesuffix("bert/") + "classifier/kernel"
