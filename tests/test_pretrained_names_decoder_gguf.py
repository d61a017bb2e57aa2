"""Small decoders in GGUF, against what transformers reads out of the files."""

import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jft
from jft import tree
from jft.data import load_tokenizer
from jft.errors import UserError
from jft.pretrained import export, formats
from jft.pretrained.formats.lazy import shape_of
from jft.pretrained.names import decoder_gguf

pytest.importorskip("gguf", reason="pip install 'jft[gguf]'")

FOLDER = pathlib.Path(__file__).parent / "golden" / "gguf"
EXPECTED = json.loads((FOLDER / "expected.json").read_text())
OPTIONS = {"xla_backend_optimization_level": 0}
IDS = jnp.array([[3, 17, 42, 7, 7, 95, 0, 61, 12, 30]])


@pytest.mark.parametrize("name", list(EXPECTED))
def test_logits_are_those_of_transformers(name):
  net = jft.load_pretrained(str(FOLDER / f"{name}.gguf"))
  assert net.report.counts().keys() == {"loaded"}
  run = jax.jit(net.apply, compiler_options=OPTIONS)
  inputs = {"input_ids": IDS, "attention_mask": jnp.ones_like(IDS)}
  got = np.asarray(run(net.variables, inputs)["logits"])[0]
  want = EXPECTED[name]
  np.testing.assert_allclose(got[-1], want["last"], rtol=1e-4, atol=1e-4)
  np.testing.assert_allclose(got.mean(), want["mean"], rtol=1e-4, atol=1e-5)
  assert got.argmax(-1).tolist() == want["best"]


@pytest.mark.parametrize("name", list(EXPECTED))
def test_export_gives_the_files_own_tensors_back(name):
  path = FOLDER / f"{name}.gguf"
  net, source = jft.load_pretrained(str(path)), formats.read(path)
  shapes = {key: shape_of(source, key) for key in source}
  table = decoder_gguf.table(net.spec.config, shapes)
  back = export.to_source(tree.flatten(net.variables), table)
  assert back.keys() == source.keys()
  for key, value in back.items():
    # Gemma's norms: one less, and one more again.
    np.testing.assert_allclose(value, source[key], rtol=0, atol=2e-7)


def test_the_file_has_its_tokenizer():
  path = FOLDER / "llama.gguf"
  tokenizer = load_tokenizer(path, 16)
  (row,) = tokenizer.encode_batch(["abba<|end|>"])
  assert row["input_ids"].tolist() == [95, 66, 65, 0]
  assert (tokenizer.bos_id, tokenizer.eos_id) == (None, 0)
  assert tokenizer.chat_template == "{{ messages }}"
  assert jft.load_pretrained(str(path)).spec.tokenizer == path


def test_gemma_adds_one_and_gpt2_has_three_in_one():
  class Config:
    depth, heads, kv_heads, tied, task = 1, 2, 1, True, "lm"

  shapes = dict.fromkeys(
    ("gemma2/token_embd.weight", "gemma2/output_norm.weight"), (4,)
  )
  table = decoder_gguf.table(Config, shapes)
  scale = np.array([0.5, -1.0], np.float32)
  name = "params/norm/scale"
  back = export.to_source({name: scale}, {name: table[name]})
  assert back["gemma2/output_norm.weight"].tolist() == [1.5, 0.0]
  shapes = dict.fromkeys(
    ("gpt2/blk.0.attn_qkv.weight", "gpt2/blk.0.attn_qkv.bias"), (6,)
  )
  found = decoder_gguf.table(Config, shapes | {"gpt2/token_embd.weight": (4,)})
  parts = [
    found[f"params/block_00/attention/{n}/bias"].part.index
    for n in ("query", "key", "value")
  ]
  assert parts == [0, 1, 2]
  with pytest.raises(UserError, match="architectures gpt2, llama in one GGUF"):
    decoder_gguf.table(Config, {"gpt2/a": (1,), "llama/a": (1,)})
