"""transformers' config.json of an EfficientNet, and what it cannot say."""

import pytest

from jft.errors import UserError
from jft.models import efficientnet
from jft.models.efficientnet_hf import from_hf

B1 = {
  "width_coefficient": 1.0,
  "depth_coefficient": 1.1,
  "image_size": 240,
  "dropout_rate": 0.2,
  "depthwise_padding": [16],
}


def test_b1_is_tensorflows():
  found = from_hf(B1)
  preset = efficientnet.PRESETS["tf_efficientnet_b1"]
  assert (found.norm_eps, found.norm_momentum) == (1e-3, 0.99)
  for field in ("width", "stage_sizes", "padding", "dropout", "image_size"):
    assert getattr(found, field) == getattr(preset, field)


@pytest.mark.parametrize(
  ("change", "message"),
  [
    ({"hidden_act": "relu"}, "hidden_act is 'relu'"),
    ({"pooling_type": "max"}, "pooling_type is 'max'"),
    ({"depthwise_padding": []}, r"depthwise_padding is \[\].*need \[16\]"),
  ],
)
def test_what_it_cannot_be_is_refused(change, message):
  with pytest.raises(UserError, match=message):
    from_hf(B1 | change)
