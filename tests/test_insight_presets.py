"""What `jft models` lists, and the page written from it."""

import pathlib
import runpy

import pytest
from variants import some

from jft import families
from jft.errors import UserError
from jft.insight import presets

ROOT = pathlib.Path(__file__).parent.parent
STALE = "python scripts/write_models.py"


def test_counts_and_inputs():
  (found,) = presets.presets("resnet50")[:1]
  assert (found.name, found.kind, found.input) == (
    "resnet50",
    "image",
    "224 x 224 x 3",
  )
  # torchvision: 25,557,032 with a head of 2048 x 1000 and 1000.
  assert found.params == 25_557_032 - 2048 * 1000 - 1000
  assert "torchvision" in found.dialects
  (found,) = (p for p in presets.presets("bert_b*") if p.name == "bert_base")
  # transformers' BertModel: 109,482,240.
  assert (found.params, found.input) == (109_482_240, "512 tokens")


def test_patterns():
  names = {preset.name for preset in presets.presets()}
  assert names == {n for f in families.FAMILIES.values() for n in f.presets}
  assert {p.family for p in presets.presets("bert_*")} == {"bert"}
  assert [p.name for p in presets.presets("resnet1[0-9]")] == ["resnet18"]
  sizes = [p.params for p in presets.presets("bert_*")]
  assert sizes == sorted(sizes)
  with pytest.raises(UserError, match=r"fits 'resnt50'\. Did you mean 'resne"):
    presets.presets("resnt50")


def test_every_preset_is_on_record():
  configs = {
    name: presets.fingerprint(config)
    for family in families.FAMILIES.values()
    for name, config in family.presets.items()
  }
  found = {n: row["config"] for n, row in presets.records().items()}
  assert found == configs, STALE


@pytest.mark.parametrize(
  "family", some(families.FAMILIES, "resnet", "bert", "vit", "gemma")
)
def test_the_record_of_a_familys_smallest_is_right(family):
  on_record = [p for p in presets.presets(family) if p.family == family]
  smallest = min(on_record, key=lambda preset: preset.params)
  (traced,) = [
    p
    for p in presets.presets(smallest.name, traced=True)
    if p.name == smallest.name
  ]
  assert traced == smallest, STALE


@pytest.mark.full
def test_the_record_of_all_is_right():
  assert presets.record() == presets.records(), STALE


def test_a_config_that_is_not_on_record_is_traced(monkeypatch):
  monkeypatch.setattr(presets, "records", dict)
  (found,) = presets.presets("resnet14_small")
  assert found.params == 174_320


def test_the_page_is_what_the_script_writes():
  script = runpy.run_path(str(ROOT / "scripts" / "write_models.py"))
  assert (ROOT / "docs" / "models.md").read_text() == script["page"](), STALE
