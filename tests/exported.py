"""Small networks whose every tensor matters, to be exported."""

import contextlib
import dataclasses
import io
import json

import jax
import numpy as np
import pytest
import tiny

import jft
from jft import data, families, tree
from jft.cli.main import main

LABELS = ("ant", "bee", "cat")


def varied(net, seed=0):
  """Returns a network with no zero, no one and no constant in it."""
  rng = np.random.default_rng(seed)

  def draw(name, leaf):
    x = np.asarray(leaf)
    if name.endswith(("/var", "/scale")):
      return rng.uniform(0.5, 1.0, x.shape).astype(x.dtype)
    spread = 0.1 if x.ndim < 2 else max(float(x.std()), 0.02)
    return rng.normal(0, spread, x.shape).astype(x.dtype)

  flat = {
    name: draw(name, x) for name, x in tree.flatten(net.variables).items()
  }
  return dataclasses.replace(net, variables=tree.unflatten(flat))


def make(arch, dialect="", num_classes=3, labels=LABELS, **options):
  """Returns a varied network; of a dialect's own habits where one is named."""
  family, config = families.preset(arch)
  for known in family.dialects:
    if known.name == dialect:
      config = known.adjust(config)
  fields = {
    field.name: getattr(config, field.name)
    for field in dataclasses.fields(config)
  }
  image = {k: options.pop(k) for k in ("mean", "std") if k in options}
  net = jft.init(
    arch,
    num_classes=num_classes,
    key=jax.random.key(0),
    **{**fields, **options},
    **image,
  )
  net = varied(net)
  return dataclasses.replace(
    net, spec=dataclasses.replace(net.spec, label_names=labels)
  )


def logits(net, images):
  """Returns the network's logits."""
  return np.asarray(jax.jit(net.apply)(net.variables, images)["logits"])


def images(net, count=2, seed=0):
  """Returns normalised images, Float32[b h w c]."""
  side, channels = net.spec.image_size, net.spec.config.in_channels
  shape = (count, side, side, channels)
  return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def writer(arch):
  """Returns a function that fills a folder, as `tiny.write_bert`: `arch`."""
  small = {"width": 8, "depth": 1, "heads": 2, "mlp_width": 16}
  small |= {"vocab_size": 20, "max_tokens": 64}
  if arch == "gpt2":
    small |= {"kv_heads": 2, "head_dim": 4}
  else:
    small["task"] = "mlm"
  if arch == "roberta_base":
    small["pad_id"] = 0

  def write(folder):
    tiny.write_bert(folder)
    words = data.load_tokenizer(folder, 64).uncut
    for file in folder.iterdir():
      file.unlink()
    jft.export(make(arch, num_classes=20, labels=(), **small), "hf", folder)
    words.save(str(folder / "tokenizer.json"))
    facts = {"tokenizer_class": "PreTrainedTokenizerFast"}
    facts |= {"pad_token": "[PAD]"}
    (folder / "tokenizer_config.json").write_text(json.dumps(facts))

  return write


def train_text(folder, *more, write=tiny.write_bert):
  """Trains a tiny text model for two steps; returns its workdir."""
  (folder / "source").mkdir()
  write(folder / "source")
  rows = [
    f"{word} film {i},{word}" for word in ("bad", "good") for i in range(9)
  ]
  (folder / "train.csv").write_text("\n".join(["text,label", *rows]))
  overrides = tiny.overrides(
    folder / "source",
    f"data.train=csv:{folder}/train.csv",
    f"data.validation=csv:{folder}/train.csv",
    *("data.train_examples=0", "data.test_fraction=0", "data.max_length=7"),
    *("tune.preset=full", "tune.blocks=0", "train.steps=2"),
    *("eval.every_steps=2", "train.preflight=warn", *more),
  )
  workdir = folder / "workdir"
  argv = ["train", "--config=default", f"--workdir={workdir}", "--json"]
  argv += [f"--config.{text}" for text in overrides]
  said = io.StringIO()
  with (
    contextlib.redirect_stdout(said),
    contextlib.redirect_stderr(said),
    pytest.MonkeyPatch.context() as patch,
  ):
    tiny.draw_nothing(patch)
    code = main(argv)
  if code:
    raise RuntimeError(said.getvalue())
  return workdir
