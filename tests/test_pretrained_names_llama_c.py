"""llama2.c's published models tell here the story that they tell there."""

import json
import os
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from golden import llama2c_numpy
from test_pretrained_formats_llama2c import tensors, version0, version1

import jft
from jft import tree
from jft.data import load_tokenizer
from jft.pretrained import export, formats
from jft.pretrained.names import llama_c

STORIES = json.loads(llama2c_numpy.FILE.read_text("utf-8"))
OPTIONS = {"xla_backend_optimization_level": 0}


def test_export_gives_the_files_own_tensors_back(tmp_path):
  path = tmp_path / "model.bin"
  for made, tied in ((version0(), True), (version1(False), False)):
    path.write_bytes(made)
    net = jft.load_pretrained(str(path))
    table = llama_c.table(net.spec.config, {})
    back = export.to_source(tree.flatten(net.variables), table)
    want = tensors(tied)
    assert back.keys() == want.keys()
    for name, value in want.items():
      np.testing.assert_array_equal(back[name], value)


def logits_of(net, tokens):
  run = jax.jit(net.apply, compiler_options=OPTIONS)
  ids = jnp.asarray([tokens], jnp.int32)
  inputs = {"input_ids": ids, "attention_mask": jnp.ones_like(ids)}
  return np.asarray(run(net.variables, inputs)["logits"])[0]


def test_a_small_model_computes_what_run_c_does(tmp_path):
  path = tmp_path / "model.bin"
  path.write_bytes(version0(tied=False))
  p, w = llama2c_numpy.read(path)
  told, want = llama2c_numpy.greedy(p, w, steps=6)
  got = logits_of(jft.load_pretrained(str(path)), [1, *told[:-1]])
  np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)


@pytest.fixture(scope="module")
def root():
  if "JFT_DATA" not in os.environ:
    pytest.skip("JFT_DATA is not set: llama2.c's published models")
  return pathlib.Path(os.environ["JFT_DATA"])


@pytest.mark.parametrize("name", list(STORIES))
def test_the_story_is_llama2cs(root, name):
  file = root / f"llama2c-{name}" / f"{name}.bin"
  net, want = jft.load_pretrained(str(file)), STORIES[name]
  # With its own tokens before it, each next one is the best: the same greedy
  # story, token by token.
  got = logits_of(net, [1, *want["tokens"][:-1]])
  assert got.argmax(-1).tolist() == want["tokens"]
  told, logits = llama2c_numpy.greedy(*llama2c_numpy.read(file))
  assert told == want["tokens"]
  np.testing.assert_allclose(got, logits, rtol=0, atol=2e-4)
  np.testing.assert_allclose(got.max(-1), want["best_logits"], atol=2e-4)


def test_the_folder_is_the_file_and_its_tokenizer_reads_the_story(root):
  folder = root / "llama2c-stories260K"
  net = jft.load_pretrained(str(folder))
  assert net.spec.tokenizer == folder / "tok512.model"
  assert len(formats.read(folder / "stories260K.bin")) == 47
  tokenizer = load_tokenizer(net.spec.tokenizer, 128)
  story = STORIES["stories260K"]
  assert tokenizer.decode(story["tokens"]) == story["text"]
