"""A ResNet of 1,400 parameters that goes the way of every recipe, in seconds.

Its architecture is a preset of the family for the time of a test; its weights
are a file in torchvision's layout.
"""

import dataclasses
import json

import jax
import numpy as np
import tokenizers

from jft import config, curves, families, report, tree
from jft.models import bert, llama, resnet
from jft.pretrained import export
from jft.pretrained.formats import safetensors
from jft.pretrained.names import bert as bert_names
from jft.pretrained.names import llama as llama_names
from jft.pretrained.names import resnet as names

CONFIG = resnet.Config((1, 1), width=4, stem="small", in_channels=1)


def add_preset(monkeypatch):
  """Makes "resnet_tiny" an architecture that jft has."""
  presets = {**families.RESNET.presets, "resnet_tiny": CONFIG}
  family = dataclasses.replace(families.RESNET, presets=presets)
  monkeypatch.setattr(
    families, "FAMILIES", {**families.FAMILIES, "resnet": family}
  )


def draw_nothing(monkeypatch):
  """Leaves out the pictures and the page of a run, which take seconds."""
  monkeypatch.setattr(curves, "draw", lambda workdir: None)
  monkeypatch.setattr(report, "render", lambda workdir: None)


def tensors(num_classes=10):
  """Returns {source name: array}, as torchvision would save them."""
  image = jax.ShapeDtypeStruct((1, 8, 8, 1), np.float32)
  module = resnet.module(CONFIG, num_classes)
  shapes = tree.flatten(jax.eval_shape(module.init, jax.random.key(0), image))
  rng = np.random.default_rng(7)
  # Positive, as variances have to be, and about as large as after training.
  made = {
    name: rng.uniform(0.5, 1.0, leaf.shape).astype(np.float32)
    if "norm" in name
    else rng.normal(0, 0.3, leaf.shape).astype(np.float32)
    for name, leaf in shapes.items()
  }
  return export.to_source(made, names.table(CONFIG))


def write(folder, arrays=None, name="tiny"):
  """Writes NAME.safetensors and NAME.json; returns the path of the weights."""
  path = folder / f"{name}.safetensors"
  safetensors.write(path, tensors() if arrays is None else arrays)
  card = {
    "family": "resnet",
    "preset": "resnet_tiny",
    "image_size": 8,
    "mean": [0.3],
    "std": [0.35],
    "label_names": [f"class {i}" for i in range(10)],
  }
  (folder / f"{name}.json").write_text(json.dumps(card))
  return path


def overrides(source, *more):
  """Twelve steps on the digits, an evaluation every four, on one device."""
  return [
    f"model.source={source}",
    "data.train=sklearn:digits",
    "data.train_examples=320",
    "data.test_fraction=0.1",
    "tune.preset=top_blocks",
    "tune.blocks=1",
    "optim.lr=0.02",
    "optim.schedule=constant",  # one program for any number of steps
    "optim.clip_norm=1.0",
    "train.steps=12",
    "train.batch_size=16",
    "train.devices=1",
    "eval.every_steps=4",
    "log.every_steps=1",
    "log.tensorboard=false",
    *more,
  ]


def recipe(source, *more):
  """Returns the config of `overrides`."""
  return config.load("default", overrides(source, *more))


def same_bits(a, b):
  """Are two {name: array} the same, bit for bit?"""
  return a.keys() == b.keys() and all(
    np.asarray(a[name]).tobytes() == np.asarray(b[name]).tobytes() for name in a
  )


BERT = {
  "model_type": "bert",
  "vocab_size": 20,
  "hidden_size": 8,
  "num_hidden_layers": 1,
  "num_attention_heads": 2,
  "intermediate_size": 16,
  "max_position_embeddings": 64,
  "id2label": {"1": "good", "0": "bad"},
}
WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "bad", "film")


def write_bert(folder):
  """Writes a folder in Hugging Face's layout: a BERT, and WORDS to read."""
  made = bert.BertConfig.from_hf(BERT)
  tokens = jax.ShapeDtypeStruct((1, 4), np.int32)
  module = bert.module(made, 2)
  shapes = jax.eval_shape(
    module.init,
    jax.random.key(0),
    {"input_ids": tokens, "attention_mask": tokens},
  )
  rng = np.random.default_rng(3)
  variables = {
    name: rng.normal(0, 0.3, leaf.shape).astype(np.float32)
    for name, leaf in tree.flatten(shapes).items()
  }
  arrays = export.to_source(variables, bert_names.table(made))
  safetensors.write(folder / "model.safetensors", arrays)
  (folder / "config.json").write_text(json.dumps(BERT))
  (folder / "vocab.txt").write_text("".join(f"{word}\n" for word in WORDS))


LLAMA = {
  "model_type": "llama",
  "vocab_size": 24,
  "hidden_size": 16,
  "num_hidden_layers": 2,
  "num_attention_heads": 2,
  "num_key_value_heads": 1,
  "intermediate_size": 24,
  "max_position_embeddings": 64,
  "tie_word_embeddings": True,
}
ENDS = ("<pad>", "<unk>", "<s>", "</s>", "<|user|>", "<|bot|>")
CHAT = (
  "{% for m in messages %}{{ '<|user|>' if m.role == 'user' else '<|bot|>' }}"
  "{{ m.content }}{% if m.role == 'assistant' %}{{ eos_token }}{% endif %}"
  "{% endfor %}{% if add_generation_prompt %}<|bot|>{% endif %}"
)


def write_llama(folder, chat=True):
  """Writes a folder in Hugging Face's layout: a Llama that reads letters."""
  made = llama.LlamaConfig.from_hf(LLAMA)
  tokens = jax.ShapeDtypeStruct((1, 4), np.int32)
  module = llama.module(made, made.vocab_size)
  inputs = {"input_ids": tokens, "attention_mask": tokens}
  shapes = jax.eval_shape(module.init, jax.random.key(0), inputs)
  rng = np.random.default_rng(5)
  variables = {
    name: rng.normal(0, 0.3, leaf.shape).astype(np.float32)
    for name, leaf in tree.flatten(shapes).items()
  }
  arrays = export.to_source(variables, llama_names.table(made))
  safetensors.write(folder / "model.safetensors", arrays)
  (folder / "config.json").write_text(json.dumps(LLAMA))
  words = [*ENDS, *"abcdefghijklmnop+="]
  encoder = tokenizers.Tokenizer(
    tokenizers.models.WordLevel({w: i for i, w in enumerate(words)}, "<unk>")
  )
  encoder.pre_tokenizer = tokenizers.pre_tokenizers.Split("", "isolated")
  encoder.decoder = tokenizers.decoders.Fuse()
  encoder.add_special_tokens(list(ENDS))
  encoder.save(str(folder / "tokenizer.json"))
  facts = {"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>"}
  if chat:
    facts["chat_template"] = CHAT
  (folder / "tokenizer_config.json").write_text(json.dumps(facts))
