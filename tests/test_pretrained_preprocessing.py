"""What each project's files say of images, and against their own code."""

import hashlib
import json
import os
import pathlib

import numpy as np
import pytest
from golden.preprocessing_cases import CASES, IMAGES, TIMM

from jft.data import to_float
from jft.data.decode import decode
from jft.errors import UserError
from jft.pretrained import preprocessing
from jft.pretrained.preprocessing import Preprocessing

GOLDEN = json.loads(
  (pathlib.Path(__file__).parent / "golden" / "preprocessing.json").read_text()
)
DATA = os.environ.get("JFT_DATA", "")
TORCHVISION = "torchvision", Preprocessing(224)
SILENT = "timm", None


def resolve(config=(), processed=(), usual=SILENT, given=(), **options):
  return preprocessing.resolve(
    dict(config),
    dict(processed),
    usual,
    dict(given),
    source="x",
    **{"channels": 3, **options},
  )


# --- against the originals ---------------------------------------------------


@pytest.mark.skipif(not DATA, reason="JFT_DATA is not set")
@pytest.mark.parametrize("file", IMAGES)
@pytest.mark.parametrize("name", CASES)
def test_photographs_come_out_as_in_the_original(name, file):
  want = GOLDEN[name][file]
  path = pathlib.Path(DATA) / "hymenoptera" / file
  image = decode(path, file, upright=False)
  if hashlib.sha256(image.tobytes()).hexdigest() != want["decoded"]:
    pytest.skip("this Pillow's JPEG library decodes to other pixels")
  facts, _ = resolve(*CASES[name])
  got = to_float(
    image,
    facts.image_size,
    facts.mean,
    facts.std,
    resize=facts.resize,
    crop_pct=facts.crop_pct,
    squeeze=facts.squeeze,
  )
  assert list(got.shape) == want["shape"]
  scale = float(np.abs(want["pixels"]).max())
  np.testing.assert_allclose(
    got[[0, 70, 150], [3, 90, 20]], want["pixels"], atol=2e-5 * scale
  )
  assert got.mean(dtype=np.float64) == pytest.approx(
    want["mean"], abs=2e-6 * max(1, scale)
  )


# --- who says what -----------------------------------------------------------


def test_the_first_who_says_it_counts():
  made, origin = resolve(TIMM, CASES["hf ViT"][1], TORCHVISION)
  assert made == Preprocessing(224, resize="bicubic")
  assert set(origin.values()) == {"config.json"}
  made, origin = resolve({}, CASES["hf DeiT"][1], TORCHVISION)
  assert (made.image_size, made.crop_pct, made.squeeze) == (224, 0.875, True)
  assert set(origin.values()) == {"preprocessor_config.json"}
  made, origin = resolve({}, {}, TORCHVISION)
  assert made == TORCHVISION[1]
  assert set(origin.values()) == {"torchvision"}
  given = {"image_size": 96, "std": (1, 1, 1)}
  made, origin = resolve(TIMM, {}, TORCHVISION, given)
  assert (made.image_size, made.std) == (96, (1.0, 1.0, 1.0))
  assert dict(origin) == {
    "image_size": "given",
    "mean": "config.json",
    "std": "given",
    "resize": "config.json",
    "crop_pct": "config.json",
    "squeeze": "config.json",
  }


def test_a_card_of_jft_squeezes_unless_it_says_otherwise():
  card = {"family": "resnet", "image_size": 8, "mean": [0.3], "std": [0.4]}
  made, origin = resolve(card, {}, TORCHVISION, channels=1)
  assert made == Preprocessing(8, (0.3,), (0.4,), "bilinear", None)
  assert set(origin.values()) == {"card"}
  more = {"resize": "bicubic", "crop_pct": 0.9, "squeeze": True}
  made, _ = resolve(card | more, {}, TORCHVISION, channels=1)
  assert (made.resize, made.crop_pct, made.squeeze) == ("bicubic", 0.9, True)


def test_what_nobody_says_must_be_given():
  with pytest.raises(
    UserError, match=r"differ: give image_size=, mean=, std= as.*data\.mean"
  ):
    resolve()
  with pytest.raises(UserError, match=r"give mean=, std= as"):
    resolve({"model_type": "vit", "image_size": 224})
  given = {"image_size": 224, "mean": (0.5,) * 3, "std": (0.5,) * 3}
  made, origin = resolve(given=given)
  assert made == Preprocessing(224, (0.5,) * 3, (0.5,) * 3)
  assert origin["mean"], origin["resize"] == ("given", "default")


def test_another_number_of_channels():
  made, _ = resolve(TIMM, channels=1, own=3)
  assert made.mean == pytest.approx((0.449,))
  made, _ = resolve(TIMM, channels=5, own=3)
  assert made.mean == (0.485, 0.456, 0.406, 0.485, 0.456)
  with pytest.raises(UserError, match=r"mean=\(0.5,\) \(by given\)"):
    resolve(TIMM, given={"mean": (0.5,)})
  card = {"family": "resnet", "image_size": 8, "mean": [0.3], "std": [0.4]}
  with pytest.raises(UserError, match=r"\(by card\).*reads 3 channels"):
    resolve(card)


@pytest.mark.parametrize(
  ("given", "message"),
  [
    ({"image_size": 0}, "load_pretrained: image_size must be a side"),
    ({"mean": 0.5}, "mean must be a list of numbers"),
    ({"mean": ("a",)}, "mean must be a list of numbers"),
    ({"std": (0, 1, 1)}, "std must be a list of positive numbers"),
  ],
)
def test_what_cannot_be_given(given, message):
  with pytest.raises(UserError, match=message):
    preprocessing.check_given(given)


# --- what is malformed -------------------------------------------------------


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    ({"input_size": [3, 224, 192]}, r"input_size must be \[channels, side"),
    ({"input_size": 224}, "input_size must be"),
    ({"input_size": [3, 0, 0]}, "image_size must be a side"),
    ({"crop_mode": "border"}, "'border', jft has center and squash"),
    ({"crop_mode": [1]}, "crop_mode is"),
    ({"crop_pct": 1.2}, "crop_pct must be a share"),
    ({"crop_pct": "a"}, "crop_pct must be a share"),
    ({"interpolation": "spline"}, "resize must be one of nearest"),
    ({"mean": [1, "a"]}, "mean must be a list of numbers"),
    ({"std": 3}, "std must be a list of positive"),
  ],
)
def test_malformed_timm(changes, message):
  config = {**TIMM, "pretrained_cfg": {**TIMM["pretrained_cfg"], **changes}}
  with pytest.raises(UserError, match=rf"config\.json: .*{message}"):
    resolve(config)


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    ({"image_processor_type": "LevitImageProcessor"}, "is of 'LevitImage"),
    ({"image_processor_type": 3}, "is of 3, jft reads those of Beit"),
    ({"image_processor_type": None}, "is of None, jft reads those of"),
    ({"size": {"longest_edge": 9}}, "size must be a side, equal height"),
    ({"size": {"height": 9, "width": 8}}, "size must be"),
    ({"size": True}, "size must be"),
    ({"size": None}, "size must be"),
    ({"size": {"shortest_edge": 224}}, "crops nothing, so images stay oblong"),
    ({"do_center_crop": True, "crop_size": 256}, "more than the size 224"),
    ({"do_center_crop": 1}, "do_center_crop must be true or false"),
    ({"resample": 6}, "resample must be Pillow's number"),
    ({"resample": "bicubic"}, "resample must be"),
    ({"rescale_factor": 0}, "rescale_factor must be a positive number"),
    ({"image_mean": {}}, "image_mean must be a list of numbers"),
    ({"image_std": [0, 1, 1]}, "image_std must be a list of positive"),
  ],
)
def test_malformed_preprocessor(changes, message):
  with pytest.raises(UserError, match=rf"preprocessor_config\.json.*{message}"):
    resolve({}, CASES["hf ViT"][1] | changes)


# --- older files -------------------------------------------------------------

OLD = {"do_resize": True, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}


@pytest.mark.parametrize(
  ("kind", "more", "want"),
  [
    ("ViT", {"size": 224}, (224, None, False, "bilinear")),
    ("Beit", {"size": 384}, (384, None, False, "bicubic")),
    ("DeiT", {"size": 256, "crop_size": 224}, (224, 0.875, True, "bicubic")),
    ("CLIP", {"size": 224, "crop_size": 224}, (224, 1.0, False, "bicubic")),
    ("ConvNext", {"size": 224, "crop_pct": 0.8}, (224, 0.8, False, "bicubic")),
    ("PoolFormer", {"size": 224, "crop_size": 224}, (224, 224 / 248, False)),
  ],
)
def test_a_bare_number_means_what_it_did_in_each_class(kind, more, want):
  processed = {
    "feature_extractor_type": f"{kind}FeatureExtractor",
    **OLD,
    **more,
  }
  made, _ = resolve({}, processed)
  got = (made.image_size, made.crop_pct, made.squeeze, made.resize)
  assert got[: len(want)] == want


def test_a_file_without_its_type_goes_by_the_models():
  made, _ = resolve({"model_type": "vit"}, {"size": 224, **OLD})
  assert (made.image_size, made.crop_pct) == (224, None)
  made, _ = resolve({"model_type": "resnet"}, {"size": 224, **OLD})
  assert (made.image_size, made.crop_pct) == (224, 0.875)


def test_a_share_gives_back_the_side_that_it_was_made_from():
  image = np.zeros((500, 700, 3), np.uint8)
  for side in range(225, 400):
    pixels = to_float(image, 224, (0,) * 3, (1,) * 3, crop_pct=224 / side)
    assert pixels.shape == (224, 224, 3)
    assert int(224 / (224 / side) + 1e-6) == side
