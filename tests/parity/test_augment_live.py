"""Augmentation against torchvision and timm, on photographs, computed now.

Floats agree to rounding; what counts in 8 bits is equal. A nearest pixel may be
the other one where a place falls between two: that share is stated.
"""

import jax
import jax.numpy as jnp
import numpy as np
import PIL.Image
import pytest
from golden import augment_cases as ours

pytest.importorskip("torch")
theirs = pytest.importorskip("golden.make_augment")

from jft.augment import geometry, mixing, policies  # noqa: E402

pytestmark = pytest.mark.parity

SIZE = 224, 200


@pytest.fixture(scope="module")
def photographs(jft_data):
  """UInt8["h w c"] of twelve photographs of ants and bees."""
  files = sorted((jft_data / "hymenoptera" / "val").rglob("*.jpg"))[::13]
  found = []
  for file in files:
    with PIL.Image.open(file) as opened:
      pixels = np.asarray(opened.convert("RGB"))[: SIZE[0], : SIZE[1]]
    if pixels.shape[:2] == SIZE:
      found.append(pixels)
  assert len(found) >= 8
  return found


def test_the_goldens_are_the_originals():
  with np.load(ours.FILE) as file:
    want = dict(file)
  for name, got in theirs.record(ours.picture()).items():
    kept = np.float32(want[name]) / 65535
    np.testing.assert_allclose(np.clip(got, 0, 1), kept, atol=1e-5)
  for kind, amount in ours.kinds().items():
    got = theirs.changed(ours.picture(), kind, amount)
    np.testing.assert_array_equal(got, want[f"rand/{kind}"])


@pytest.fixture(scope="module")
def changed(photographs):
  """[{name: picture}] of one compiled program."""
  cases = ours.cases(*SIZE)
  run = jax.jit(lambda x: {name: fn(x) for name, fn in cases.items()})
  return [jax.device_get(run(np.float32(x / 255))) for x in photographs]


def test_every_change_of_photographs(photographs, changed):
  shares = {}
  for pixels, got in zip(photographs, changed, strict=True):
    for name, want in theirs.record(pixels).items():
      same = np.abs(got[name] - want).max(-1) < 2e-4
      shares.setdefault(name, []).append(same.mean())
  worst = {name: min(found) for name, found in shares.items()}
  nearest = {name for name in worst if name.endswith("nearest")}
  print({name: worst[name] for name in nearest})
  assert {n for n, x in worst.items() if x < 1.0 and n not in nearest} == set()
  assert all(worst[name] > 0.999 for name in nearest)


@pytest.mark.parametrize("kind", ours.kinds())
def test_every_change_of_rand_augment(kind, photographs):
  amount = ours.kinds(*SIZE)[kind]
  run = jax.jit(policies.apply)
  for pixels in photographs[:4]:
    image = np.float32(pixels / 255)
    got = np.asarray(run(image, policies.KINDS.index(kind), amount)) * 255
    want = theirs.changed(pixels, kind, amount).astype(np.float32)
    level = 1.5 if kind == "sharpness" else 1.01
    equal = (np.abs(got - want) <= level).mean()
    assert equal > (0.999 if kind in policies.WARPS else 0.99999)


@pytest.mark.parametrize("policy", ["rand", "trivial", "mix"])
def test_strengths_of_policies(policy):
  made = {
    "rand": policies.rand_space(SIZE),
    "trivial": policies.trivial_space(),
    "mix": policies.mix_space(SIZE),
  }[policy]
  want = theirs.spaces(*SIZE)[policy]
  assert set(made.kinds) == set(want)
  for kind, strengths in zip(made.kinds, made.strengths, strict=True):
    values, signed = want[kind]
    np.testing.assert_allclose(strengths, values, atol=2e-5)
    assert signed == (kind not in policies._UNSIGNED)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_mixed_labels_are_timm_s(smoothing):
  import torch
  from timm.data import mixup

  label, share = np.array([2, 0, 1, 1]), np.float32([0.9, 0.3, 1.0, 0.5])
  lam = torch.from_numpy(share)[:, None]
  want = mixup.mixup_target(torch.from_numpy(label), 3, lam, smoothing).numpy()
  got = mixing.mixed_labels(jnp.asarray(label), jnp.asarray(share), 3)
  smoothed = (1 - smoothing) * got + smoothing / 3
  np.testing.assert_allclose(smoothed, want, atol=1e-6)


def test_rectangles_are_timm_s(monkeypatch):
  from timm.data import mixup

  rng = np.random.default_rng(0)
  for _ in range(50):
    share, row, column = rng.random(), rng.integers(13), rng.integers(17)
    places = iter((row, column))
    monkeypatch.setattr(
      np.random, "randint", lambda *a, places=places, **k: next(places)
    )
    box, lam = mixup.cutmix_bbox_and_lam((3, 13, 17), share)
    kept, mask = mixing.cut((13, 17), share, int(row), int(column))
    want = np.ones((13, 17))
    want[box[0] : box[1], box[2] : box[3]] = 0
    np.testing.assert_array_equal(mask, want)
    assert float(kept) == pytest.approx(lam, abs=1e-6)


@pytest.mark.parametrize("shape", [(60, 150), (180, 37), (215, 195)])
def test_resized_crops_of_any_shape(shape, photographs):
  import torch

  image = np.float32(photographs[0] / 255)
  tensor = torch.from_numpy(image.transpose(2, 0, 1).copy())
  want = theirs.F.resized_crop(tensor, 9, 5, *shape, SIZE, antialias=True)
  got = geometry.resized_crop(image, 9, 5, *shape)
  np.testing.assert_allclose(got, want.numpy().transpose(1, 2, 0), atol=1e-5)
