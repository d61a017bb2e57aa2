"""ResNet: the originals' numbers and parameter counts."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from golden import resnet as case
from golden import weights
from variants import some

from jft import tree
from jft.errors import UserError
from jft.models import resnet

TOLERANCE = 1e-4
"""Largest error in float32, relative to the largest value of an array."""


def tiny(**options):
  """Returns a module, its variables and four images."""
  module = resnet.module(case.CONFIGS["tiny"], weights.CLASSES, **options)
  image = np.random.default_rng(0).standard_normal((4, 8, 8, 3), np.float32)
  return module, case.drawn("tiny"), image


def close(a, b):
  np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4 * np.abs(b).max())


def run_once(fn, *args):
  return jax.jit(fn, compiler_options=case.OPTIONS)(*args)


SHALLOW = ["resnext_shallow", "wide_shallow", "deep_shallow", "deep_basic"]


@pytest.mark.parametrize(
  "arch",
  some(
    ["resnet18", "resnet50", "resnet14_small", *SHALLOW, *case.OTHERS],
    "resnet14_small",
    *case.OTHERS,
  ),
)
def test_inference_is_the_originals(arch):
  want = case.read(arch, train=False)
  case.assert_close(case.evaluated(arch), want, TOLERANCE)


@pytest.mark.parametrize(
  "arch",
  some(
    [
      *("resnet18", "resnet_shallow", "resnet14_small", "resnext_shallow"),
      *("deep_basic", "hf_strided", "keras_resnet"),
    ],
    *("resnet14_small", "hf_strided"),
  ),
)
def test_gradients_and_statistics_are_the_originals(arch):
  want = case.read(arch, train=True)
  case.assert_close(case.trained(arch), want, TOLERANCE)


@pytest.mark.parametrize(
  ("arch", "parameters"),
  [
    ("resnet18", 11_689_512),
    ("resnet34", 21_797_672),
    ("resnet50", 25_557_032),
    ("resnet101", 44_549_160),
    ("resnet152", 60_192_808),
    ("wide_resnet50_2", 68_883_240),
    ("wide_resnet101_2", 126_886_696),
    ("resnext50_32x4d", 25_028_904),
    ("resnext101_32x8d", 88_791_336),
    ("resnext101_64x4d", 83_455_272),
    ("resnet18d", 11_708_744),
    ("resnet26d", 16_014_408),
    ("resnet34d", 21_816_904),
    ("resnet50d", 25_576_264),
    ("resnet101d", 44_568_392),
    ("resnet152d", 60_212_040),
  ],
)
def test_presets_have_the_originals_parameter_counts(arch, parameters):
  variables = tree.unflatten(case.target(arch, 1000))
  assert tree.count(variables["params"]) == parameters


def test_outputs_without_a_head():
  module = resnet.module(resnet.PRESETS["resnet14_small"])
  image = jnp.zeros((2, 28, 28, 1))
  shapes, variables = jax.eval_shape(
    module.init_with_output, jax.random.key(0), image
  )
  assert {name: x.shape for name, x in shapes.items()} == {
    "hidden": (2, 7, 7, 64),
    "features": (2, 64),
  }
  assert "head" not in variables["params"]


def test_names_of_a_block():
  block = tree.unflatten(case.target("tiny"))["params"]["block_01"]
  assert sorted(tree.flatten(block)) == [
    "conv1/kernel",
    "conv2/kernel",
    "conv3/kernel",
    "downsample/conv/kernel",
    "downsample/norm/bias",
    "downsample/norm/scale",
    "norm1/bias",
    "norm1/scale",
    "norm2/bias",
    "norm2/scale",
    "norm3/bias",
    "norm3/scale",
  ]


def test_bfloat16_keeps_float32_parameters_and_statistics():
  module, variables, image = tiny(dtype=jnp.bfloat16)
  outputs, new = jax.eval_shape(
    lambda: module.apply(variables, image, train=True, mutable="batch_stats")
  )
  assert outputs["logits"].dtype == jnp.bfloat16
  kept = jax.tree.leaves((variables, new))
  assert {leaf.dtype for leaf in kept} == {np.dtype("float32")}


@pytest.mark.slow
def test_remat_changes_memory_alone():
  def gradient(remat):
    module, variables, image = tiny(remat=remat)

    def loss(params):
      outputs, new = module.apply(
        variables | {"params": params}, image, train=True, mutable="batch_stats"
      )
      return (outputs["logits"] ** 2).sum(), new

    run = jax.grad(loss, has_aux=True)
    program = str(jax.make_jaxpr(run)(variables["params"]))
    blocks = len(re.findall(r" (remat2?|checkpoint)\[", program))
    return blocks, run_once(run, variables["params"])

  (plain_blocks, plain), (remat_blocks, remat) = gradient(False), gradient(True)
  assert plain_blocks == 0
  assert remat_blocks > 0
  jax.tree.map(close, plain, remat)


def test_axis_name_gives_statistics_of_the_global_batch():
  module, variables, image = tiny()

  def run(image, axis_name=None):
    return module.apply(
      variables, image, train=True, axis_name=axis_name, mutable="batch_stats"
    )

  outputs, stats = run_once(run, image)
  mapped, mapped_stats = run_once(
    jax.vmap(lambda half: run(half, "data"), axis_name="data"),
    image.reshape(2, 2, *image.shape[1:]),
  )
  close(mapped["logits"].reshape(outputs["logits"].shape), outputs["logits"])
  jax.tree.map(lambda a, b: close(a[0], b), mapped_stats, stats)


@pytest.mark.parametrize(
  ("wrong", "message"),
  [
    ({"block": "botleneck"}, r"block must be one of .*'botleneck'"),
    ({"stem": "tiny"}, "stem must be one of"),
    ({"stage_sizes": (2, 0)}, r"stage_sizes .*\(2, 0\)"),
    ({"stage_sizes": ()}, "stage_sizes"),
    ({"width": 0}, "width"),
    ({"shortcut": "mean"}, "shortcut must be one of .*'mean'"),
    ({"groups": 32}, "groups=1 and group_width=64, got 32 and 64"),
    ({"block": "bottleneck", "group_width": 3, "width": 8}, "8 \\* 3"),
    ({"norm_eps": 0.0}, "norm_eps"),
  ],
)
def test_a_config_that_cannot_be_is_refused(wrong, message):
  with pytest.raises(UserError, match=message):
    resnet.Config(**({"stage_sizes": (2, 2)} | wrong))


@pytest.mark.parametrize(
  ("key", "value"),
  [
    ("hidden_sizes", [256, 512, 1024, 1024]),
    ("hidden_act", "gelu"),
    ("downsample_in_first_stage", True),
    ("layer_type", "basic"),
  ],
)
def test_what_transformers_config_may_not_ask(key, value):
  with pytest.raises(UserError, match=r"config\.json: .*only has"):
    resnet.Config.from_hf({key: value})


def test_transformers_config():
  found = resnet.Config.from_hf(
    {
      "layer_type": "basic",
      "hidden_sizes": [64, 128, 256, 512],
      "depths": [2, 2, 2, 2],
      "downsample_in_bottleneck": False,
    }
  )
  assert found == resnet.PRESETS["resnet18"]
  v1 = resnet.Config.from_hf({"downsample_in_bottleneck": True})
  assert v1.strided == "1x1"


@pytest.mark.parametrize("shape", [(2, 8, 8, 1), (8, 8, 3)])
def test_images_of_another_shape_are_refused(shape):
  module, variables, _ = tiny()
  with pytest.raises(UserError, match=r"\[b h w 3\], got \["):
    module.apply(variables, np.zeros(shape))


def test_drawn_weights_leave_no_tensor_idle():
  gains = weights.draw("bn1.weight", (64,), seed=0)
  assert gains.min() >= 0.5
  assert len(set(gains.tolist())) == 64
