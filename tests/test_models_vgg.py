"""VGG: the originals' numbers and parameter counts."""

import dataclasses
import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from golden import vgg as case
from golden import vision, weights
from variants import some

from jft import tree
from jft.errors import UserError
from jft.models import vgg
from jft.pretrained.names import vgg as names

TOLERANCE = 1e-4
GOLDENS = ["vgg_small", "vgg_bn_small", "keras_vgg"]


@pytest.mark.parametrize("arch", GOLDENS)
def test_inference_is_the_originals(arch):
  want = vision.read(arch, train=False)
  vision.assert_close(case.case(arch).evaluated(), want, TOLERANCE)


@pytest.mark.parametrize("arch", some(GOLDENS, "vgg_bn_small"))
def test_gradients_and_statistics_are_the_originals(arch):
  want = vision.read(arch, train=True)
  vision.assert_close(case.case(arch).trained(), want, TOLERANCE)


@pytest.mark.parametrize(
  ("arch", "parameters"),
  [
    ("vgg11", 132_863_336),
    ("vgg11_bn", 132_868_840),
    ("vgg13", 133_047_848),
    ("vgg13_bn", 133_053_736),
    ("vgg16", 138_357_544),
    ("vgg16_bn", 138_365_992),
    ("vgg19", 143_667_240),
    ("vgg19_bn", 143_678_248),
  ],
)
def test_presets_have_torchvisions_parameter_counts(arch, parameters):
  assert vision.parameters(case.case(arch).target(1000)) == parameters


def test_outputs_without_a_head():
  module = vgg.module(vgg.PRESETS["vgg11"])
  shapes, variables = jax.eval_shape(
    module.init_with_output, jax.random.key(0), jnp.zeros((2, 96, 64, 3))
  )
  assert {name: x.shape for name, x in shapes.items()} == {
    "hidden": (2, 3, 2, 512),
    "features": (2, 4096),
  }
  assert variables["params"]["fc1"]["kernel"].shape == (7, 7, 512, 4096)
  assert "head" not in variables["params"]


TINY = vgg.Config((1,), norm=True, width=4, pooled=1, hidden=64)


def tiny(config, **options):
  """Returns a module, its variables and two images."""
  drawn = vision.Case(config, vgg.module, vgg.Block, names.TORCHVISION).drawn()
  image = np.random.default_rng(0).standard_normal((2, 4, 4, 3), np.float32)
  return vgg.module(config, weights.CLASSES, **options), drawn, image


def test_dropout_is_of_training_alone():
  module, variables, image = tiny(TINY)

  @functools.partial(
    jax.jit, static_argnames="train", compiler_options=vision.OPTIONS
  )
  def features(key, train):
    outputs, _ = module.apply(
      variables,
      image,
      train=train,
      rngs={"dropout": key},
      mutable="batch_stats",
    )
    return outputs["features"]

  one, two = jax.random.split(jax.random.key(0))
  assert (features(one, False) == features(two, False)).all()
  assert (features(one, True) == features(one, True)).all()
  assert (features(one, True) != features(two, True)).any()


def test_remat_changes_memory_alone():
  def gradient(remat):
    config = dataclasses.replace(TINY, dropout=0.0)
    module, variables, image = tiny(config, remat=remat)

    def loss(params):
      outputs, _ = module.apply(
        variables | {"params": params}, image, train=True, mutable="batch_stats"
      )
      return (outputs["logits"] ** 2).sum()

    run = jax.grad(loss)
    program = str(jax.make_jaxpr(run)(variables["params"]))
    remats = len(re.findall(r" (remat2?|checkpoint)\[", program))
    run = jax.jit(run, compiler_options=vision.OPTIONS)
    return remats, tree.flatten(run(variables["params"]))

  (none, plain), (some, less) = gradient(False), gradient(True)
  assert none == 0
  assert some > 0
  vision.assert_close(less, plain, 1e-5)


@pytest.mark.parametrize(
  ("wrong", "message"),
  [
    ({"stage_sizes": (2, 0)}, r"stage_sizes .*\(2, 0\)"),
    ({"stage_sizes": ()}, "stage_sizes"),
    ({"width": 0}, "width must be positive, got 0"),
    ({"dropout": 1.0}, "dropout"),
  ],
)
def test_a_config_that_cannot_be_is_refused(wrong, message):
  with pytest.raises(UserError, match=message):
    vgg.Config(**({"stage_sizes": (2, 2)} | wrong))


def test_images_of_another_shape_are_refused():
  module = vgg.module(vgg.PRESETS["vgg11"])
  with pytest.raises(UserError, match=r"VGG expects .*\[b h w 3\], got \["):
    jax.eval_shape(module.init, jax.random.key(0), jnp.zeros((1, 32, 32, 1)))
