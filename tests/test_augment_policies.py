"""RandAugment, TrivialAugment, AugMix: torchvision's changes and our draws."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from golden import augment_cases as golden

from jft.augment import policies, tone
from jft.errors import UserError


@functools.cache
def ours():
  """{kind: picture} of one program for all kinds, by vmap as in a step."""
  image = np.float32(golden.picture() / 255)
  kinds = golden.kinds()
  index = jnp.array([policies.KINDS.index(kind) for kind in kinds])
  amounts = jnp.array([*kinds.values()])
  run = jax.jit(jax.vmap(policies.apply, (None, 0, 0)))
  return dict(zip(kinds, np.asarray(run(image, index, amounts)), strict=True))


@pytest.mark.parametrize("kind", golden.kinds())
def test_it_is_torchvision_s(kind):
  got = ours()[kind] * 255
  want = np.load(golden.FILE)[f"rand/{kind}"].astype(np.float32)
  # The original cuts to whole levels, of sharpness after rounding its blur.
  # The border of a warp may round to the other pixel.
  level = 1.5 if kind == "sharpness" else 1.01
  equal = (np.abs(got - want) <= level).mean()
  assert equal == 1.0 if kind not in policies.WARPS else equal > 0.97


def test_strengths_are_what_the_papers_say():
  rand = policies.rand_space((32, 64))
  trivial = policies.trivial_space()
  mix = policies.mix_space((30, 60))
  last = {
    name: dict(zip(space.kinds, space.strengths[:, -1].tolist(), strict=True))
    for name, space in {"rand": rand, "trivial": trivial, "mix": mix}.items()
  }
  assert last["rand"]["rotate"] == 30
  assert last["rand"]["posterize"] == 4
  assert last["rand"]["translate_x"] == pytest.approx(64 * 150 / 331)
  assert last["trivial"]["shear_x"] == 0.99
  assert last["trivial"]["posterize"] == 2
  assert last["mix"]["translate_y"] == 10
  assert last["mix"]["posterize"] == 0
  assert [len(s.kinds) for s in (rand, trivial, mix)] == [14, 14, 13]


def test_kinds_are_drawn_evenly_and_half_of_the_signs_turned():
  n, space = 7000, policies.rand_space((32, 32))
  u = np.random.default_rng(0).random((n, 2), np.float32)
  kinds, amounts = map(np.asarray, jax.vmap(lambda u: space.draw(u, 9))(u))
  counts = np.bincount(kinds, minlength=14)
  chi2 = ((counts - n / 14) ** 2 / (n / 14)).sum()
  assert chi2 < 13 + 4 * math.sqrt(26)
  turned = amounts[kinds == policies.KINDS.index("rotate")]
  np.testing.assert_allclose(np.abs(turned), 9.0, rtol=1e-6)
  half = (turned > 0).mean() - 0.5
  assert abs(half) < 4 * 0.5 / math.sqrt(len(turned))
  assert (amounts[kinds == policies.KINDS.index("solarize")] > 0).all()


@pytest.mark.parametrize(
  "op",
  [policies.rand_augment(2, 30), policies.trivial_augment()],
)
def test_policies_stay_pictures(op):
  image = jnp.asarray(np.float32(golden.picture() / 255))
  u = np.random.default_rng(1).random((16, op.draws), np.float32)
  got = np.asarray(jax.jit(jax.vmap(op.apply, (0, None)))(u, image))
  assert got.shape == (16, *image.shape)
  assert got.min() >= 0
  assert got.max() <= 1
  assert len({one.tobytes() for one in got}) > 10


def test_aug_mix_is_a_mean_of_the_picture_and_its_chains():
  # Of one chain of one change, worked out: weights by exponential waits.
  op = policies.aug_mix(width=1)
  image = jnp.asarray(np.float32(golden.picture() / 255))
  u = np.zeros(op.draws, np.float32)
  u[:3] = 0.3, 0.6, 0.5
  space = policies.mix_space(image.shape[:2])
  kind = "equalize"
  u[4:7] = (space.kinds.index(kind) + 0.5) / len(space.kinds), 0.9, 0.5
  waits = -np.log([0.7, 0.4])
  kept, mixed = waits / waits.sum()
  want = kept * image + mixed * tone.equalize(image)
  got = jax.jit(op.apply)(u, image)
  np.testing.assert_allclose(got, want, atol=1e-5)


def test_weights_are_even_on_the_simplex():
  u = np.random.default_rng(0).random((4000, 3), np.float32)
  weights = np.asarray(jax.vmap(policies.dirichlet)(u))
  np.testing.assert_allclose(weights.sum(1), 1, atol=1e-5)
  # A component of Dirichlet(1, 1, 1) has mean 1/3 and variance 1/18.
  assert np.abs(weights.mean(0) - 1 / 3).max() < 4 * np.sqrt(1 / 18 / 4000)
  np.testing.assert_allclose(weights.var(0), 1 / 18, rtol=0.1)


def test_a_strength_has_a_bound():
  with pytest.raises(UserError, match="magnitude=31"):
    policies.rand_augment(2, 31)
