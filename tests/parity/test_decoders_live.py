"""Text decoders against transformers, computed now.

With JFT_WRITE_GOLDEN=1 the record of what was compared is written.
"""

import numpy as np
import pytest
from golden import decoder_cases, verified
from golden import decoders as case_of

import jft
from jft import families, tree
from jft.pretrained import export
from jft.pretrained.formats import safetensors

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
  """Every name and shape is the original's: nothing missing or unexpected."""
  transformers = make.transformers
  net = case_of.load(tmp_path, case)
  dialect = families.FAMILIES[net.spec.family].dialects[0]
  table = dialect.table(net.spec.config, {})
  arrays = export.to_source(tree.flatten(net.variables), table)
  safetensors.write(tmp_path / "model.safetensors", arrays)
  model, info = getattr(
    transformers, decoder_cases.CASES[case][1]
  ).from_pretrained(tmp_path, output_loading_info=True)
  assert not info["missing_keys"]
  assert not info["unexpected_keys"]
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
