"""Llamas for llama2.c: read by its own code's NumPy twin, or refused."""

import dataclasses
import os
import pathlib

import exported
import numpy as np
import pytest
import tiny
from golden import llama2c_numpy
from test_pretrained_formats_llama2c import version0
from variants import some

import jft
from jft import tree
from jft.errors import UserError
from jft.models.rope import Rope


def loaded(folder, tied=True):
  path = folder / "small.bin"
  path.write_bytes(version0(tied))
  return jft.load_pretrained(str(path))


def moved(net):
  """The network as after some training: no value is the source's."""
  flat = {
    n: np.asarray(x) * 0.9 for n, x in tree.flatten(net.variables).items()
  }
  return dataclasses.replace(net, variables=tree.unflatten(flat))


@pytest.mark.parametrize("tied", some([True, False], False))
def test_llama2c_computes_the_same(tied, tmp_path):
  """With two heads for one of keys and values."""
  net = moved(loaded(tmp_path, tied))
  done = jft.export(net, "llama2c", tmp_path / "out")
  assert set(done.files) == {"export.json", "model.bin"}
  assert done.notes == ("no tokenizer.bin: the source has none of llama2.c's",)
  p, w = llama2c_numpy.read(done.path / "model.bin")
  told, want = llama2c_numpy.greedy(p, w, steps=6)
  ids = np.array([[1, *told[:-1]]], np.int32)
  inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
  got = exported.logits(net, inputs)[0]
  np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)
  again = jft.load_pretrained(str(done.path))
  assert tiny.same_bits(
    tree.flatten(net.variables), tree.flatten(again.variables)
  )
  assert again.spec.config == net.spec.config


@pytest.mark.parametrize(
  ("fields", "message"),
  [
    ({"qkv_bias": True}, r"no place for qkv_bias=True \(it has False\)"),
    ({"qk_norm": True}, "no place for qk_norm=True"),
    ({"norm_eps": 1e-6}, r"no place for norm_eps=1e-06 \(it has 1e-05\)"),
    ({"window": 4}, "no place for window=4"),
    ({"rope": Rope(theta=5e5)}, r"no place for rope=Rope\(theta=500000.0"),
    ({"head_dim": 8}, r"no place for head_dim=8 \(it has 4\)"),
    ({"activation": "relu"}, "no place for activation='relu'"),
    ({"task": "classification"}, "no place for task='classification'"),
  ],
)
def test_what_the_file_cannot_say_is_named(fields, message, tmp_path):
  net = loaded(tmp_path)
  config = dataclasses.replace(net.spec.config, **fields)
  spec = dataclasses.replace(net.spec, config=config)
  with pytest.raises(UserError, match=message):
    jft.export(dataclasses.replace(net, spec=spec), "llama2c", tmp_path / "out")
  assert not (tmp_path / "out").exists()


def test_only_llamas_with_their_head(tmp_path):
  net = loaded(tmp_path)
  bare = dataclasses.replace(net.spec, head=None)
  with pytest.raises(UserError, match="scores words, this network has no head"):
    jft.export(dataclasses.replace(net, spec=bare), "llama2c", tmp_path / "out")
  digits = jft.load_pretrained("jft:resnet14_mnist")
  with pytest.raises(UserError, match="computes Llamas, not resnet"):
    jft.export(digits, "llama2c", tmp_path / "out")


def test_a_published_model_comes_back_with_its_tokenizer(tmp_path):
  if "JFT_DATA" not in os.environ:
    pytest.skip("JFT_DATA is not set: llama2.c's published models")
  folder = pathlib.Path(os.environ["JFT_DATA"]) / "llama2c-stories260K"
  net = jft.load_pretrained(str(folder))
  done = jft.export(net, "llama2c", tmp_path / "out")
  words = (done.path / "tokenizer.bin").read_bytes()
  assert words == (folder / "tok512.bin").read_bytes()
  # SentencePiece squeezes spaces, run.c does not.
  assert done.notes == (
    "tok512.bin reads ' ' as other tokens than tok512.model",
  )
  (_, ours), (_, theirs) = (
    llama2c_numpy.read(file)
    for file in (done.path / "model.bin", folder / "stories260K.bin")
  )
  for name, array in theirs.items():  # its tables are of float32
    atol = 1e-4 if name == "freq_cis" else 0
    np.testing.assert_allclose(ours[name], array, rtol=0, atol=atol)
