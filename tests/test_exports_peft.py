"""A run with an adapter, written for peft, and merged for all others."""

import json

import exported
import numpy as np
import pytest

import jft
from jft import tree
from jft.errors import UserError
from jft.exports import subject as subjects
from jft.exports import verify, writing
from jft.pretrained.formats import safetensors


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
  return exported.train_text(
    tmp_path_factory.mktemp("run"),
    *("adapter.name=pissa", "adapter.rank=2", "adapter.targets=attention"),
    "optim.lr=0.05",
  )


@pytest.fixture(scope="module")
def subject(workdir):
  return subjects.of_run(workdir)


def test_for_peft_the_adapter_and_the_head_are_written(subject, tmp_path):
  done = writing.write(subject, "peft", tmp_path / "out")
  assert done.compared.difference < 1e-5
  config = json.loads((tmp_path / "out/adapter_config.json").read_text())
  # A PiSSA becomes a LoRA of twice the rank beside the base as it was loaded.
  assert (config["r"], config["lora_alpha"]) == (4, 32.0)
  assert config["modules_to_save"] == ["classifier"]
  assert config["task_type"] == "SEQ_CLS"
  arrays = safetensors.read(tmp_path / "out/adapter_model.safetensors")
  shapes = {name: arrays[name].shape for name in arrays}
  layer = "base_model.model.bert.encoder.layer.0.attention"
  assert shapes == {
    **{
      f"{layer}.{name}.lora_{half}.weight": shape
      for name in ("self.query", "self.key", "self.value", "output.dense")
      for half, shape in (("A", (4, 8)), ("B", (8, 4)))
    },
    "base_model.model.classifier.weight": (2, 8),
    "base_model.model.classifier.bias": (2,),
  }


def test_every_other_target_gets_it_merged_and_is_told(subject, tmp_path):
  done = writing.write(subject, "safetensors", tmp_path / "out")
  (note,) = done.notes
  assert note.startswith("merged into the weights: the adapter default (PiSSA)")
  again = jft.load_pretrained(str(tmp_path / "out"))
  assert "adapters" not in again.params
  moved = [
    name
    for name, x in tree.flatten(subject.beside.plain().params).items()
    if not np.array_equal(x, tree.flatten(again.params)[name])
  ]
  kernels = (
    f"block_00/attention/{layer}/kernel"
    for layer in ("key", "out", "query", "value")
  )
  assert moved == [*kernels, "head/bias", "head/kernel"]


@pytest.mark.parametrize(
  ("lines", "kind", "shape"),
  [
    (("adapter.name=prompt",), "PROMPT_TUNING", (2, 8)),
    (("adapter.name=prefix",), "PREFIX_TUNING", (2, 16)),
    (
      ("adapter.name=prefix", "adapter.projection=3"),
      "PREFIX_TUNING",
      (2, 16),
    ),
    (("adapter.name=ia3",), "IA3", (1, 16)),
  ],
)
def test_what_peft_has_too_is_written_for_it(lines, kind, shape, tmp_path):
  if kind != "IA3":
    lines = (*lines, "adapter.tokens=2")
  workdir = exported.train_text(tmp_path, *lines, "optim.lr=0.05")
  trained = subjects.of_run(workdir)
  done = writing.write(trained, "peft", tmp_path / "out")
  assert done.compared.difference < 1e-5
  config = json.loads((tmp_path / "out/adapter_config.json").read_text())
  assert (config["peft_type"], config["task_type"]) == (kind, "SEQ_CLS")
  assert config["modules_to_save"] == ["classifier"]
  arrays = safetensors.read(tmp_path / "out/adapter_model.safetensors")
  assert shape in {arrays[name].shape for name in arrays}
  (head,) = (name for name in arrays if name.endswith("classifier.weight"))
  assert head.count("model") == (2 if kind == "IA3" else 1)


@pytest.mark.parametrize(
  "lines",
  [
    ("adapter.name=lora", "adapter.rank=2", "model.quantize=nf4"),
    ("tune.preset=linear_probe", "tune.blocks=0", "model.quantize=int8"),
  ],
)
def test_a_quantised_run_is_exported_as_it_was_trained(lines, tmp_path):
  pytest.importorskip("qwix")
  workdir = exported.train_text(tmp_path, *lines, "optim.lr=0.05")
  trained = subjects.of_run(workdir)
  done = writing.write(trained, "hf", tmp_path / "out")
  assert "as they were in training" in done.notes[0]
  again = jft.load_pretrained(str(tmp_path / "out"))
  beside = trained.beside.net if trained.beside else trained
  inputs = verify.inputs_of(trained)
  want = beside.apply(beside.variables, inputs)["logits"]
  got = again.apply(again.variables, inputs)["logits"]
  np.testing.assert_allclose(got, want, atol=1e-5)


def test_an_adapter_beside_codes_is_for_a_base_of_codes(tmp_path):
  pytest.importorskip("qwix")
  lines = ("adapter.name=lora", "adapter.rank=2", "model.quantize=nf4")
  workdir = exported.train_text(tmp_path, *lines, "optim.lr=0.05")
  done = writing.write(subjects.of_run(workdir), "peft", tmp_path / "out")
  assert "trained beside kernels kept as codes" in done.notes[0]
  assert done.compared.difference < 1e-5
  # Beside the base as it is loaded it is another network.
  base = jft.load_pretrained(str(tmp_path / "source"))
  whole = jft.adapters.load_peft(base, tmp_path / "out")
  trained = subjects.of_run(workdir)
  inputs = verify.inputs_of(trained)
  want = trained.apply(trained.variables, inputs)["logits"]
  got = whole.apply(whole.variables, inputs)["logits"]
  assert np.abs(want - got).max() > 1e-3


def test_what_peft_does_not_have_is_named(tmp_path):
  lines = ("adapter.name=parallel", "adapter.width=3")
  workdir = exported.train_text(tmp_path, *lines)
  with pytest.raises(UserError, match="a Bottleneck, which peft does not have"):
    writing.write(subjects.of_run(workdir), "peft", tmp_path / "out")
  assert not (tmp_path / "out").exists()


def test_a_network_without_an_adapter_has_nothing_for_peft(tmp_path):
  net = exported.make("bert_tiny", depth=1, vocab_size=20)
  with pytest.raises(UserError, match="writes the one adapter of a run"):
    jft.export(net, "peft", tmp_path / "out")
