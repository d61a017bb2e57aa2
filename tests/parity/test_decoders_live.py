"""Text decoders against transformers, computed now.

With JFT_WRITE_GOLDEN=1 the record of what was compared is written.
"""

import dataclasses
import json

import numpy as np
import pytest
from golden import decoder_cases, verified
from golden import decoders as case_of

import jft

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
make = pytest.importorskip("golden.make_decoders")

pytestmark = pytest.mark.parity

TOLERANCE = 1e-4
WORDS = [
  case for case in decoder_cases.CASES if not decoder_cases.is_classifier(case)
]


@pytest.mark.parametrize("case", decoder_cases.CASES)
def test_the_goldens_are_transformers(case):
  golden = case_of.read(case)
  case_of.assert_close(make.record(case), case_of.numbers(golden), 1e-5)
  for name, values in make.names(case).items():
    assert list(golden[name]) == values


@pytest.mark.parametrize("case", decoder_cases.CASES)
def test_another_seed(case, tmp_path):
  want = make.record(case, seed=1)
  net = case_of.load(tmp_path, case, seed=1)
  got = case_of.computed(net, case, seed=1)
  case_of.assert_close(got, want, TOLERANCE)
  family, name, _ = decoder_cases.CASES[case]
  row = verified.row(
    config=f"{case} of {net.spec.config.depth} blocks",
    layout="hf",
    reference=f"transformers {name}",
    version=make.VERSION,
    what="loaded from its file; logits, states, gradients; padded either side",
    params=sum(p.numel() for p in make.make(case).parameters()),
    max_error=max(case_of.error(got[name], want[name]) for name in want),
  )
  verified.confirm(family, [row])


@pytest.mark.parametrize("case", WORDS)
def test_greedy_search(case, tmp_path):
  net = case_of.load(tmp_path, case, seed=2)
  got = case_of.continued(net, case, seed=2)
  np.testing.assert_array_equal(got, make.continued(case, seed=2))
  family, name, _ = decoder_cases.CASES[case]
  row = verified.row(
    config=f"{case} of {net.spec.config.depth} blocks",
    layout="hf",
    reference=f"transformers {name}.generate",
    version=make.VERSION,
    what="greedy tokens by the cache, a prompt padded at its left",
    params=sum(p.numel() for p in make.make(case).parameters()),
  )
  verified.confirm(family, [row])


@pytest.mark.parametrize("preset", decoder_cases.PRESETS)
def test_presets_are_the_originals(preset):
  assert make.preset(preset) == case_of.preset(preset)
  family = decoder_cases.preset_family(preset)
  verified.confirm(family, make.rows(preset))


@pytest.mark.parametrize("case", decoder_cases.CASES)
def test_what_jft_exports_transformers_reads(case, tmp_path):
  """Its class, settings, names and shapes are the original's."""
  net = case_of.load(tmp_path, case)
  # As if from nowhere: nothing is copied out of a config.json.
  spec = dataclasses.replace(net.spec, source="")
  out = tmp_path / "out"
  done = jft.export(dataclasses.replace(net, spec=spec), "hf", out)
  name = json.loads((out / "config.json").read_text())["architectures"][0]
  assert name == decoder_cases.CASES[case][1]
  assert done.opens[0].startswith("from transformers import AutoModelFor")
  model, info = getattr(make.transformers, name).from_pretrained(
    out, output_loading_info=True
  )
  for key in ("missing_keys", "unexpected_keys", "mismatched_keys"):
    assert not info[key], (key, info[key])
  model.config.pad_token_id = 0
  inputs = decoder_cases.inputs(case)
  mask = inputs["attention_mask"]
  tensors = {n: torch.from_numpy(x).long() for n, x in inputs.items()}
  tensors["position_ids"] = torch.from_numpy(decoder_cases.positions(mask))
  with torch.no_grad():
    want = model.eval()(**tensors).logits.numpy()
  got = np.asarray(case_of.jit(net.apply)(net.variables, inputs)["logits"])
  if got.ndim == 3:
    got, want = got * mask[..., None], want * mask[..., None]
  assert case_of.error(got, want) < TOLERANCE


@pytest.mark.parametrize("case", ["llama_tied", "gpt2", "gemma3"])
def test_a_bare_decoder_saved_by_transformers(case, tmp_path):
  model = make.make(case)
  getattr(model, model.base_model_prefix).save_pretrained(tmp_path)
  net = jft.load_pretrained(str(tmp_path))
  want = make.record(case)["logits"]
  inputs = decoder_cases.inputs(case)
  got = case_of.jit(net.apply)(net.variables, inputs)["logits"]
  got = np.asarray(got) * inputs["attention_mask"][..., None]
  assert case_of.error(got, want) < TOLERANCE
