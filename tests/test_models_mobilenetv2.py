"""MobileNetV2: what four projects compute with the same weights."""

import jax
import numpy as np
import pytest
from golden import mobilenetv2 as case
from golden import nets, packed
from variants import some

from jft.errors import UserError
from jft.models import mobilenetv2, mobilenetv2_hf

TOLERANCE = 1e-4
"""Largest error in float32, relative to the largest value of an array."""


@pytest.mark.parametrize("name", ["timm_same", "torchvision", "hf", "keras"])
def test_inference_is_the_originals(name):
  want = nets.inference(packed.read("mobilenetv2")[name])
  got = nets.evaluated(case.CASES[name])
  assert nets.max_error({n: got[n] for n in want}, want) < TOLERANCE


@pytest.mark.full
def test_a_mistake_in_any_of_keras_tensors_shows():
  want = nets.inference(packed.read("mobilenetv2")["keras"])
  assert nets.idle(case.CASES["keras"], want, 50 * TOLERANCE) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", some(["timm", "keras"], "timm"))
def test_gradients_and_statistics_are_the_originals(name):
  """In float64: BatchNorm over eight values a channel magnifies rounding."""
  want = nets.training(packed.read("mobilenetv2")[name])
  with jax.enable_x64(True):
    got = nets.trained(case.CASES[name], dtype=np.float64)
  assert nets.max_error(got, want) < 1e-9


def test_transformers_config_says_how_it_pads():
  found = mobilenetv2_hf.from_hf({"tf_padding": False, "depth_multiplier": 0.5})
  assert (found.padding, found.width) == ("symmetric", 0.5)
  assert mobilenetv2_hf.from_hf({}).padding == "same"
  with pytest.raises(UserError, match="output_stride is 16"):
    mobilenetv2_hf.from_hf({"output_stride": 16})


@pytest.mark.parametrize(
  ("wrong", "message"),
  [({"stage_sizes": (1, 2)}, "stage_sizes"), ({"padding": "x"}, "padding")],
)
def test_a_config_that_cannot_be_is_refused(wrong, message):
  with pytest.raises(UserError, match=message):
    mobilenetv2.Config(**wrong)
