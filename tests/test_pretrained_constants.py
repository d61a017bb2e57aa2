"""Normalisation inside a file: what is published, or an error."""

import numpy as np
import pytest

from jft.errors import UserError
from jft.models import efficientnet
from jft.pretrained import constants
from jft.pretrained.names.efficientnet import KERAS

# As keras.applications' EfficientNetB0 with ImageNet's weights holds them: the
# deviation lies where the variance should.
PUBLISHED = {
  "normalization/mean:0": np.array([0.485, 0.456, 0.406], np.float32),
  "normalization/variance:0": np.array([0.229, 0.224, 0.225], np.float32),
  "normalization/count:0": np.array(0),
}


def check(source):
  config = efficientnet.PRESETS["efficientnet_b0"]
  constants.check(source, KERAS.constants(config))


def test_the_published_values_are_known():
  check(PUBLISHED)
  check({"top_conv/kernel:0": np.zeros(3)})


@pytest.mark.parametrize(
  ("name", "values"),
  [
    ("normalization/mean:0", [0.0, 0.0, 0.0]),
    ("normalization/variance:0", [1.0, 1.0, 1.0]),
    ("normalization/variance:0", [0.229]),
  ],
)
def test_a_model_trained_from_scratch_is_no_such_model(name, values):
  with pytest.raises(UserError, match=f"{name} holds .*give mean= and std="):
    check(PUBLISHED | {name: np.array(values)})
