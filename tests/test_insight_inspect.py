"""What `inspect` counts, against numbers counted by hand."""

import dataclasses
import json

import numpy as np
import pytest
import tiny

import jft
from jft import families, loading
from jft.errors import UserError
from jft.insight import inspect
from jft.pretrained.formats import Tensors


@pytest.fixture(scope="module")
def source(tmp_path_factory):
  with pytest.MonkeyPatch.context() as patch:
    tiny.add_preset(patch)
    yield tiny.write(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module")
def found(source):
  return inspect.inspect_config(tiny.recipe(source, "tune.head_first=0.5"))


def conv(size, channels, filters, kernel=3):
  """Multiply-adds, counted twice, where zeros of the border do not count."""
  inside = sum(
    min(i + kernel // 2, size - 1) - max(i - kernel // 2, 0) + 1
    for i in range(size)
  )
  return 2 * inside**2 * channels * filters


def test_parts_in_the_order_of_the_network(found):
  norm = 2  # scale and bias
  assert [(part.name, part.params) for part in found.parts] == [
    ("stem", 9 * 4 + 4 * norm),
    ("block_00", 2 * (9 * 4 * 4 + 4 * norm)),
    ("block_01", 9 * 4 * 8 + 9 * 8 * 8 + 4 * 8 + 3 * 8 * norm),
    ("head", 8 * 10 + 10),
  ]
  assert [part.trained for part in found.parts] == [0, 0, 944, 90]
  assert found.parts[-1].shapes == {"head/bias": (10,), "head/kernel": (8, 10)}
  assert found.spec["params"] == sum(part.params for part in found.parts)


def test_phases_and_what_they_cost(found):
  assert found.phases == [
    {
      "start_step": start,
      "begins": f"step {start}",
      "labels": labels,
      "lr_scale": 1.0,
    }
    for start, labels in [(0, ["head"]), (6, ["backbone", "head"])]
  ]
  assert found.rates == ["peak learning rates: backbone 0.02; head 0.02"]
  head, top, full = (
    found.step_flops[name] for name in ("phase 0", "phase 1", "full")
  )
  # The head's gradient is next to nothing; the frozen half is forward only.
  assert found.flops <= head < 1.05 * found.flops
  assert 1.3 * head < top < full < 3.5 * found.flops


def test_forward_flops(found):
  convolutions = (
    conv(8, 1, 4)  # the stem
    + 2 * conv(8, 4, 4)
    + conv(8, 4, 8) / 4  # at every second pixel
    + conv(4, 8, 8)
    + 2 * 4 * 4 * 4 * 8  # the 1 x 1 beside them
  )
  assert convolutions < found.flops < 1.25 * convolutions


@pytest.mark.slow
def test_the_configs_own_image_size_counts(source, found):
  larger = inspect.inspect_config(
    tiny.recipe(
      source, "data.image_size=16", "tune.preset=full", "tune.blocks=0"
    )
  )
  assert 3.9 < larger.flops / found.flops < 4.5
  assert larger.spec["inputs"] == "16 x 16 x 1, (x / 255 - 0.3) / 0.35"
  assert found.spec["inputs"] == "8 x 8 x 1, (x / 255 - 0.3) / 0.35"


def test_freeze_rows(found):
  assert [(row.label, row.leaves, row.params) for row in found.freeze] == [
    ("backbone", 9, 944),
    ("head", 2, 90),
    ("freeze", 9, 348),
  ]
  # AdamW: two float32 moments a parameter, and two counters of 4 bytes.
  assert [row.optimizer_bytes for row in found.freeze] == [7560, 728, 0]


def test_a_source_as_it_is(source):
  found = inspect.inspect_source(str(source))
  assert found.load == {"loaded": 32}
  assert found.spec["num_classes"] == 10
  assert (found.spec["dialect"], found.spec["stored"]) == (
    "torchvision",
    {"float32": 32},
  )
  assert (found.freeze, found.phases) == ([], [])
  assert found.spec["preprocessing"]["image_size"] == 8
  assert found.spec["preprocessing_from"]["mean"] == "card"
  assert {part.trained for part in found.parts} == {0}
  assert found.step_flops == {}
  assert [row.use for row in found.memory] == ["inference", "head only", "full"]
  assert (found.batch_size, found.findings, found.dropped) == (32, [], {})
  json.dumps(dataclasses.asdict(found))


@pytest.mark.slow
def test_what_would_not_load_is_told(source, tmp_path):
  arrays = tiny.tensors()
  arrays["conv1.weight"][0] = np.nan
  arrays["layer1.0.bn1.num_batches_tracked"] = np.zeros((), np.int64)
  bad = tiny.write(tmp_path, arrays)
  found = inspect.inspect_source(str(bad), batch_size=1)
  assert [(row.check, row.level) for row in found.findings] == [
    ("values", "error")
  ]
  assert found.findings[0].message.startswith(
    "params/stem/conv/kernel: 9 of 36 values are NaN"
  )
  ((reason, names),) = found.dropped.items()
  assert names == ["layer1.0.bn1.num_batches_tracked"]
  assert "counter" in reason or "count" in reason
  with pytest.raises(UserError, match=r"9 of 36 values are NaN"):
    jft.load_pretrained(str(bad))


def test_a_source_that_does_not_fit(source, tmp_path):
  arrays = tiny.tensors()
  del arrays["conv1.weight"]
  arrays["stray"] = np.zeros(3, np.float32)
  bad = tiny.write(tmp_path, {**arrays, "conv1.weight": np.zeros((4, 1, 3, 3))})
  with pytest.raises(UserError, match=r"source 'stray' \(3,\): no variable"):
    inspect.inspect_source(str(bad))
  with pytest.raises(UserError, match="batch_size=0 must be at least 1"):
    inspect.inspect_source(str(source), batch_size=0)


@pytest.mark.slow
def test_images_that_nobody_says_how_to_prepare(tmp_path, monkeypatch):
  bare = tiny.write(tmp_path)
  bare.with_suffix(".json").unlink()
  family = families.FAMILIES["resnet"]
  silent = tuple(
    dataclasses.replace(dialect, preprocessing=lambda config: None)
    for dialect in family.dialects
  )
  monkeypatch.setattr(
    families,
    "FAMILIES",
    {"resnet": dataclasses.replace(family, dialects=silent)},
  )
  found = inspect.inspect_source(str(bare), arch="resnet_tiny", batch_size=1)
  ((level, message),) = [(f.level, f.message) for f in found.findings]
  assert level == "warning"
  assert "does not say how its images are to be prepared" in message
  assert found.spec["inputs"] == (
    "224 x 224 x 1, normalised in a way that nobody says"
  )


def test_no_value_is_kept(source, monkeypatch):
  """Each tensor is read once; nothing is loaded."""
  read = []
  load = Tensors.__getitem__

  def counted(self, name):
    read.append(name)
    return load(self, name)

  monkeypatch.setattr(Tensors, "__getitem__", counted)
  monkeypatch.setattr(loading, "fill", None)
  found = inspect.inspect_source(str(source), batch_size=1)
  assert sorted(read) == sorted(tiny.tensors())
  assert found.load == {"loaded": 32}


def test_a_config_is_checked_first(source):
  with pytest.raises(UserError, match=r"optim\.lr=0\.0 must be above 0"):
    inspect.inspect_config(tiny.recipe(source, "optim.lr=0"))


@pytest.mark.full
def test_texts_as_long_as_the_config_says(tmp_path):
  tiny.write_bert(tmp_path)
  rows = [f"{word} film,{label}" for label, word in enumerate(("bad", "good"))]
  (tmp_path / "train.csv").write_text("\n".join(["text,label", *rows * 20]))
  found = inspect.inspect_config(
    tiny.recipe(
      tmp_path,
      f"data.train=csv:{tmp_path}/train.csv",
      f"data.validation=csv:{tmp_path}/train.csv",
      "data.train_examples=0",
      "data.test_fraction=0",
      "data.max_length=64",
      "tune.preset=full",
      "tune.blocks=0",
    )
  )
  assert found.spec["inputs"] == "up to 64 token ids"
  per_token = 2 * (4 * 8 * 8 + 2 * 8 * 16)  # attention's and the MLP's kernels
  pairs = 2 * 2 * 64 * 64 * 8  # scores, and the mean of the values
  assert 64 * per_token + pairs < found.flops < 2 * (64 * per_token + pairs)
