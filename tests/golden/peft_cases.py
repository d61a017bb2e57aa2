"""Adapters that peft runs beside small networks, and jft beside the same."""

import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import tiny

import jft
from jft import tree
from jft.pretrained import peft
from jft.pretrained.formats import safetensors
from jft.tuning.adapters.method import ADAPTERS
from jft.writers import write_json

FILE = pathlib.Path(__file__).with_name("peft.npz")
TOLERANCE = 1e-5  # of the largest value

ATTENTION = ["query", "value"]
LLAMA = ["q_proj", "v_proj", "down_proj"]
# name: (network, what LoraConfig takes).
CASES = {
  "lora": (
    "bert",
    {
      "r": 2,
      "lora_alpha": 4,
      "target_modules": [*ATTENTION, "output.dense"],
      "rank_pattern": {"query": 3},
      "alpha_pattern": {"value": 5},
      "modules_to_save": ["classifier"],
    },
  ),
  "rslora": (
    "bert",
    {"r": 4, "target_modules": ATTENTION, "use_rslora": True},
  ),
  "dora": (
    "bert",
    {
      "r": 2,
      "lora_alpha": 3,
      "target_modules": [*ATTENTION, "intermediate.dense"],
      "use_dora": True,
    },
  ),
  "words": ("bert", {"r": 2, "target_modules": ["word_embeddings", "key"]}),
  "llama": ("llama", {"r": 2, "lora_alpha": 6, "target_modules": LLAMA}),
  "llama_dora": (
    "llama",
    {"r": 2, "lora_alpha": 6, "target_modules": LLAMA, "use_dora": True},
  ),
}


def write_base(folder, network):
  """Writes a network in the layout of transformers."""
  folder.mkdir(exist_ok=True)
  {"bert": tiny.write_bert, "llama": tiny.write_llama}[network](folder)
  return folder


def inputs():
  """Returns three texts, one of them padded."""
  ids = np.random.default_rng(11).integers(1, 20, (3, 6))
  mask = np.ones((3, 6), np.int64)
  mask[1, 4:] = 0
  return {"input_ids": ids, "attention_mask": mask}


def weights(logits):
  """Returns what the loss weighs every output with; padding with nothing."""
  made = np.random.default_rng(12).normal(size=logits.shape)
  if made.ndim == 3:
    made *= inputs()["attention_mask"][..., None]
  return made.astype(np.float32)


def read(case):
  """Returns (record, what jft has to compute) of a golden case."""
  config, arrays, want = {}, {}, {}
  with np.load(FILE) as file:
    for key in file.files:
      name, _, rest = key.partition("|")
      kind, _, leaf = rest.partition("|")
      if name == case and kind == "config":
        config = json.loads(str(file[key]))
      elif name == case:
        {"arrays": arrays, "want": want}[kind][leaf] = file[key]
  return {"config": config, "arrays": arrays}, want


def write(folder, record):
  """Writes a record's adapter as peft's folder."""
  folder.mkdir(exist_ok=True)
  write_json(folder / peft.CONFIG, record["config"])
  safetensors.write(folder / peft.WEIGHTS, record["arrays"])
  return folder


def computed(base, folder):
  """Returns {"logits": ..., and the gradients of jft's leaves}."""
  net = jft.adapters.load_peft(jft.load_pretrained(str(base)), folder)
  batch = {k: jnp.asarray(v, jnp.int32) for k, v in inputs().items()}

  def loss(own):
    params = {**net.params, ADAPTERS: {"default": own}}
    out = net.apply({"params": params}, batch)["logits"]
    return (out * weights(out)).sum(), out

  own = net.params[ADAPTERS]["default"]
  (_, logits), grads = jax.jit(jax.value_and_grad(loss, has_aux=True))(own)
  return net, {"logits": np.asarray(logits), **tree.flatten(grads)}


def assert_close(got, want):
  """Padding apart, which no loss sees, every value is the original's."""
  assert got.keys() == want.keys()
  for name, x in want.items():
    a, b = np.asarray(got[name]), x
    if name == "logits" and b.ndim == 3:
      real = inputs()["attention_mask"] > 0
      a, b = a[real], b[real]
    assert a.shape == b.shape, name
    assert np.abs(a - b).max() < TOLERANCE * np.abs(b).max(), name
