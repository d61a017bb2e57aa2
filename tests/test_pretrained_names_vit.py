"""Vision transformers' name tables: the originals' files, nothing else."""

import dataclasses
import hashlib
import json
import pathlib

import numpy as np
import pytest
from golden import vit as case
from golden import vit_cases, weights

from jft import tree
from jft.errors import UserError
from jft.models import vit
from jft.pretrained import export
from jft.pretrained.dialect import choose
from jft.pretrained.names import vit as names

PRESETS = json.loads(
  (pathlib.Path(case.__file__).parent / "vit_presets.json").read_text()
)
PLAIN = case.CONFIGS["vit_plain"]
TOLERANCE = 1e-4


def zeros(shapes):
  return {n: np.broadcast_to(np.float32(0), s) for n, s in shapes.items()}


def source_shapes(config, num_classes, dialect=names.TIMM):
  """Returns {source name: shape} of the file that fits a model."""
  flat = case.target(config, num_classes)
  table = dialect.table(config, {})
  stand_in = {n: np.broadcast_to(np.int8(0), x.shape) for n, x in flat.items()}
  found = export.to_source(stand_in, table)
  return {name: x.shape for name, x in found.items()}


def google(seed=0):
  return {
    name: weights.draw(name, shape, seed)
    for name, shape in vit_cases.google_shapes().items()
  }


def run(config, source):
  variables, dialect, _, report = case.loaded(config, weights.CLASSES, source)
  apply = case.jit(vit.module(config, weights.CLASSES).apply)
  return apply(variables, vit_cases.images()), dialect, report


@pytest.mark.parametrize("preset", vit.PRESETS)
def test_names_shapes_and_counts_are_timms(preset):
  config = vit.PRESETS[preset]
  small = dataclasses.replace(config, depth=1)
  flat, one = case.target(small, 1000), source_shapes(small, 1000)
  # All blocks are alike; tracing the first is enough.
  blocks = {n: s for n, s in one.items() if n.startswith("blocks.0.")}
  rows = {n: s for n, s in one.items() if n not in blocks} | {
    n.replace("blocks.0.", f"blocks.{i}.", 1): s
    for n, s in blocks.items()
    for i in range(config.depth)
  }
  params, digest = PRESETS[preset]
  assert sum(np.prod(s, dtype=int) for s in rows.values()) == params
  lines = "\n".join(sorted(f"{name} {shape}" for name, shape in rows.items()))
  assert hashlib.sha256(lines.encode()).hexdigest()[:16] == digest
  assert len(names.table(config, {})) == len(flat) + (config.depth - 1) * sum(
    name.startswith("params/block_00/") for name in flat
  )


@pytest.mark.parametrize("name", vit_cases.CASES)
def test_a_round_trip_gives_every_tensor_back(name):
  _, texts = case.read(name)
  source = case.source(texts)
  config = case.config_of(name, texts)
  variables, dialect, table, report = case.loaded(
    config, case.classes(texts), source
  )
  wanted = "flax" not in dialect.name and dialect.name.partition("_")[0]
  assert wanted == ("hf" if name in vit_cases.HF else "timm")
  dropped = {row.source for row in report.rows if row.status == "dropped"}
  back = export.to_source(tree.flatten(variables), table)
  assert back.keys() | dropped == source.keys()
  assert not back.keys() & dropped
  for key, array in back.items():
    np.testing.assert_array_equal(array, source[key])


def test_what_is_dropped():
  found = {}
  for name in vit_cases.CASES:
    _, texts = case.read(name)
    config = case.config_of(name, texts)
    report = case.loaded(config, case.classes(texts), case.source(texts))[3]
    rows = [row.source for row in report.rows if row.status == "dropped"]
    if rows:
      found[name] = rows
  assert found == {
    "vit_hf_dinov2": ["dinov2.embeddings.mask_token"],
    "vit_hf_registers": ["dinov2_with_registers.embeddings.mask_token"],
    "vit_hf_clip_mean": [
      "vision_model.post_layernorm.bias",
      "vision_model.post_layernorm.weight",
    ],
  }


def test_a_file_of_google_computes_what_timm_makes_of_it():
  want, _ = case.read("vit_google")
  got, dialect, _ = run(PLAIN, google())
  assert dialect.name == "google"
  assert max(case.errors(got, want).values()) < TOLERANCE


def test_a_head_above_pre_logits_goes_with_it():
  source = google() | {
    "pre_logits/kernel": np.zeros((32, 32), np.float32),
    "pre_logits/bias": np.zeros(32, np.float32),
  }
  shapes = {name: x.shape for name, x in source.items()}
  dialect = choose("vit", names.DIALECTS, shapes)
  assert dialect.name == "google_pre_logits"
  _, _, _, report = case.loaded(PLAIN, None, source)
  dropped = {r.source: r.reason for r in report.rows if r.status == "dropped"}
  assert sorted(dropped) == [
    "head/bias",
    "head/kernel",
    "pre_logits/bias",
    "pre_logits/kernel",
  ]
  assert "stands on" in dropped["head/bias"]
  assert "pooling='cls_pooler'" in dropped["pre_logits/bias"]
  whole = dataclasses.replace(PLAIN, pooling="cls_pooler")
  variables, _, _, report = case.loaded(whole, 10, source)
  assert report.counts() == {"loaded": len(source)}
  assert sorted(variables["params"]["pooler"]) == ["bias", "kernel"]


def test_an_old_file_of_timm_has_pre_logits_too():
  _, texts = case.read("vit_plain")
  source = case.source(texts) | {
    "pre_logits.fc.weight": np.zeros((32, 32), np.float32),
    "pre_logits.fc.bias": np.zeros(32, np.float32),
  }
  _, dialect, _, report = case.loaded(PLAIN, None, source)
  assert dialect.name == "timm_pre_logits"
  assert report.counts()["dropped"] == 4


def as_flax(source):
  """Returns a file of transformers as its Flax classes wrote it."""
  found = {}
  for name, array in source.items():
    stem, _, leaf = name.rpartition(".")
    if leaf == "weight" and "position_embedding" in stem:
      leaf = "embedding"
    elif leaf == "weight" and array.ndim == 1:
      leaf = "scale"
    elif leaf == "weight":
      leaf, axes = "kernel", (1, 0) if array.ndim == 2 else (2, 3, 1, 0)
      array = array.transpose(axes)
    found[f"{stem}.{leaf}".strip(".").replace(".", "/")] = array
  return found


@pytest.mark.parametrize(
  ("name", "dialect"),
  [("vit_hf", "flax"), ("vit_hf_dinov2", "flax"), ("vit_hf_clip", "flax_clip")],
)
def test_a_flax_file_holds_the_same(name, dialect):
  _, texts = case.read(name)
  config, k = case.config_of(name, texts), case.classes(texts)
  want, _, _, _ = case.loaded(config, k, case.source(texts))
  got, found, table, _ = case.loaded(config, k, as_flax(case.source(texts)))
  assert found.name == dialect
  assert tree.flatten(got).keys() == tree.flatten(want).keys()
  for key, array in tree.flatten(got).items():
    np.testing.assert_array_equal(array, tree.flatten(want)[key])
  back = export.to_source(tree.flatten(got), table)
  for key, array in back.items():
    np.testing.assert_array_equal(array, as_flax(case.source(texts))[key])


def test_a_whole_clip_gives_its_image_tower():
  _, texts = case.read("vit_hf_clip")
  config, source = case.config_of("vit_hf_clip", texts), case.source(texts)
  text = {
    "logit_scale": (),
    "text_model.embeddings.token_embedding.weight": (9, 4),
    "text_model.encoder.layers.0.self_attn.q_proj.weight": (4, 4),
    "text_model.encoder.layers.7.self_attn.q_proj.weight": (4, 4),
    "text_projection.weight": (24, 4),
    "vision_model.embeddings.position_ids": (1, 17),
  }
  _, dialect, _, report = case.loaded(config, None, source | zeros(text))
  assert dialect.name == "hf_clip"
  dropped = {row.source for row in report.rows if row.status == "dropped"}
  assert dropped == text.keys()
  plain = dataclasses.replace(config, projection=0)
  report = case.loaded(plain, None, source)[3]
  rows = [row for row in report.rows if row.status == "dropped"]
  assert [row.source for row in rows] == ["visual_projection.weight"]
  assert "projection=0" in rows[0].reason


def test_metas_own_dinov2():
  """Its names, as torch.hub gives them, of a giant with registers."""
  _, texts = case.read("vit_dinov2")
  shapes = {}
  for name, shape in texts["shapes"].items():
    own = name.replace("mlp.fc1", "mlp.w12").replace("mlp.fc2", "mlp.w3")
    shapes[own.replace("reg_token", "register_tokens")] = tuple(shape)
  shapes |= {"mask_token": (1, 32), "pos_embed": (1, 17, 32)}
  dialect = choose("vit", names.DIALECTS, shapes)
  config = dialect.adjust(case.CONFIGS["vit_dinov2"])
  assert (dialect.name, config.positions) == ("dinov2", "class")
  report = case.loaded(config, 10, zeros(shapes))[3]
  assert report.counts()["dropped"] == 1


def test_deit_3_has_its_own_names_for_scales():
  config = dataclasses.replace(PLAIN, layer_scale=1e-6, positions="patches")
  shapes = source_shapes(config, 10)
  old = {
    n.replace("ls1.gamma", "gamma_1").replace("ls2.gamma", "gamma_2"): s
    for n, s in shapes.items()
  }
  assert len(old.keys() - shapes.keys()) == 6
  assert case.loaded(config, 10, zeros(old))[3].counts() == {"loaded": 62}


@pytest.mark.parametrize("name", ["vit_plain", "vit_hf", "vit_google"])
def test_a_file_of_another_depth_is_named(name):
  _, texts = case.read(name)
  config = dataclasses.replace(PLAIN, depth=5)
  with pytest.raises(UserError, match=r"of [23] blocks, the arch has 5"):
    case.loaded(
      config, None, zeros({n: tuple(s) for n, s in texts["shapes"].items()})
    )


def test_preprocessing_is_said_only_where_all_models_agree():
  found = {
    name: names.preprocessing(config) for name, config in vit.PRESETS.items()
  }
  told = {name: x for name, x in found.items() if x}
  assert not any(
    n in told for n in ("vit_base_patch16_224", "vit_base_patch32_clip_224")
  )
  small = told["deit_small_patch16_224"]
  assert (small.image_size, small.crop_pct, small.mean[0]) == (224, 0.9, 0.485)
  assert told["deit_base_patch16_384"].crop_pct == 1.0
  assert told["vit_small_patch14_dinov2"].image_size == 518
  clip = told["vit_base_patch32_clip_quickgelu_224"]
  assert (clip.mean[0], clip.resize) == (0.48145466, "bicubic")


def test_a_projection_is_no_part_of_timms_files():
  config = dataclasses.replace(PLAIN, projection=8)
  with pytest.raises(UserError, match="projection=0"):
    names.table(config, {})
