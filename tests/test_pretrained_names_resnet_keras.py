"""Keras' ResNet: its published weights on real pictures, its names."""

import jax
import numpy as np
import pytest

import jft
from jft.data import decode, images

TOP5 = {
  "ants/1119630822_cd325ea21a": [
    "ant",
    "stinkhorn",
    "ground_beetle",
    "tiger_beetle",
    "scorpion",
  ],
  "ants/119785936_dd428e40c3": [
    "ant",
    "bee",
    "ladybug",
    "leaf_beetle",
    "long-horned_beetle",
  ],
  "bees/144098310_a4176fd54d": [
    "bee",
    "daisy",
    "fly",
    "long-horned_beetle",
    "lycaenid",
  ],
  "bees/1297972485_33266a18d9": [
    "bee",
    "fly",
    "ringlet",
    "daisy",
    "rapeseed",
  ],
}
"""What the published weights see on hymenoptera/val, the likeliest first."""


@pytest.fixture(scope="module")
def published(jft_data):
  folder = jft_data / "resnet50-imagenet-keras"
  return jft.load_pretrained(str(folder), arch="resnet50")


def test_published_weights_name_what_is_on_pictures(published, jft_data):
  spec = published.spec
  batch = [
    images.to_float(
      decode.decode(jft_data / f"hymenoptera/val/{name}.jpg", name),
      spec.image_size,
      spec.mean,
      spec.std,
      crop_pct=0.875,
    )
    for name in TOP5
  ]
  outputs = jax.jit(published.apply)(published.variables, np.stack(batch))
  best = np.argsort(-outputs["logits"])[:, :5]
  found = [[spec.label_names[i] for i in row] for row in best]
  assert dict(zip(TOP5, found, strict=True)) == TOP5


def test_published_weights_are_loaded_whole(published):
  assert published.report.counts() == {"loaded": 320}
  config = published.spec.config
  assert (config.strided, config.conv_bias) == ("1x1", True)
  assert (config.norm_eps, config.norm_momentum) == (1e-3, 0.99)
  assert published.spec.mean == (123.68 / 255, 116.779 / 255, 103.939 / 255)
  assert published.spec.std == (1 / 255,) * 3
  assert published.spec.label_names[:2] == ("tench", "goldfish")


def test_a_bare_file_has_no_class_names(jft_data):
  folder = jft_data / "resnet50-imagenet-keras"
  file = folder / "resnet50_keras_imagenet.safetensors"
  net = jft.load_pretrained(str(file), arch="resnet50")
  assert net.spec.label_names == ()
  assert net.spec.num_classes == 1000
