"""ConvNeXt's config: what it refuses, and transformers' config.json."""

import pytest

from jft.errors import UserError
from jft.models.convnext_config import PRESETS, Config, from_hf


def test_transformers_defaults_are_tiny_with_another_last_norm():
  found = from_hf({})
  assert (found.stage_sizes, found.widths) == (
    (3, 3, 9, 3),
    (96, 192, 384, 768),
  )
  assert (found.norm_eps, found.head_norm_eps) == (1e-6, 1e-12)
  assert PRESETS["convnext_tiny"].head_norm_eps == 1e-6


@pytest.mark.parametrize(
  ("change", "message"),
  [
    ({"patch_size": 2}, "patch_size is 2"),
    ({"hidden_act": "relu"}, "hidden_act is 'relu'"),
    ({"layer_scale_init_value": 0}, "layer_scale_init_value is 0"),
  ],
)
def test_what_transformers_config_may_not_say(change, message):
  with pytest.raises(UserError, match=message):
    from_hf(change)


@pytest.mark.parametrize(
  ("wrong", "message"),
  [
    ({"stage_sizes": (1, 2)}, "stage_sizes"),
    ({"widths": (1, 2, 3, 0)}, "widths"),
    ({"stem": "conv"}, "stem must be one of patch, overlap"),
    ({"drop_path": 1.0}, "drop_path"),
    ({"norm_eps": 0}, "norm_eps"),
  ],
)
def test_a_config_that_cannot_be_is_refused(wrong, message):
  with pytest.raises(UserError, match=message):
    Config(**wrong)
