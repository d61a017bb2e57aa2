"""Gemma 2 and 3 into the config.json of transformers."""

from typing import Any

from jft.models import decoder_hf
from jft.models.gemma import FIELDS, GemmaConfig


def to_hf(
  config: GemmaConfig, headed: bool, model_type: str = ""
) -> dict[str, Any]:
  """Returns the settings that `GemmaConfig.from_hf` reads this config from.

  Args:
    config: of the network; what its generation has no word for is left out.
    headed: whether there is a head, of the config's task.
    model_type: not needed: Gemma 3 normalises queries and keys.

  Source: transformers.Gemma2Config, Gemma3TextConfig.

  >>> from jft.models.gemma import PRESETS
  >>> all(GemmaConfig.from_hf(to_hf(c, True)) == c for c in PRESETS.values())
  True
  """
  del model_type
  made: dict[str, Any] = {
    **{key: getattr(config, field) for key, field in FIELDS.items()},
    "attention_bias": config.attention_bias,
    "layer_types": decoder_hf.layer_types_to_hf(config),
    "final_logit_softcapping": config.logit_cap or None,
  }
  full = decoder_hf.rope_to_hf(config.rope)
  if not config.qk_norm:
    name = decoder_hf.class_of("Gemma2", config, headed)
    return made | {
      "model_type": "gemma2",
      "architectures": [name],
      "attn_logit_softcapping": config.attention_cap or None,
      "rope_parameters": full,
    }
  # Its bare model and its classifier are those of texts, beside images.
  words = headed and config.task == "lm"
  title = "Gemma3" if words else "Gemma3Text"
  local = decoder_hf.rope_to_hf(config.local_rope)
  return made | {
    "model_type": "gemma3_text",
    "architectures": [decoder_hf.class_of(title, config, headed)],
    "rope_parameters": {"full_attention": full, "sliding_attention": local},
  }
