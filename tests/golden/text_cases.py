"""What every golden of a text encoder's task is computed from; NumPy alone."""

import types

import numpy as np
from golden import weights

SETTINGS = types.MappingProxyType(
  {
    "bert": {
      "vocab_size": 40,
      "hidden_size": 24,
      "num_hidden_layers": 2,
      "num_attention_heads": 3,
      "intermediate_size": 40,
      "max_position_embeddings": 16,
      "type_vocab_size": 2,
      "pad_token_id": 0,
      "num_labels": 5,
    },
    # 12 rows of positions are 9 tokens: the padding's and the two before it.
    "roberta": {
      "vocab_size": 40,
      "hidden_size": 24,
      "num_hidden_layers": 2,
      "num_attention_heads": 3,
      "intermediate_size": 40,
      "max_position_embeddings": 12,
      "type_vocab_size": 1,
      "layer_norm_eps": 1e-5,
      "pad_token_id": 2,
      "num_labels": 5,
    },
    "distilbert": {
      "vocab_size": 40,
      "dim": 24,
      "n_layers": 2,
      "n_heads": 3,
      "hidden_dim": 40,
      "max_position_embeddings": 16,
      "pad_token_id": 0,
      "num_labels": 5,
    },
  }
)
"""{family: settings of transformers' config}."""

TITLES = types.MappingProxyType(
  {"bert": "Bert", "roberta": "Roberta", "distilbert": "DistilBert"}
)
CLASSES = types.MappingProxyType(
  {
    "classification": "ForSequenceClassification",
    "tokens": "ForTokenClassification",
    "mlm": "ForMaskedLM",
  }
)
"""{task: the end of the name of transformers' class}."""

PRESETS = types.MappingProxyType(
  {
    "roberta_base": {"type_vocab_size": 1, "vocab_size": 50265},
    "distilroberta_base": {"num_hidden_layers": 6, "vocab_size": 50265},
    "roberta_large": {"vocab_size": 50265, "large": True},
    "xlm_roberta_base": {"vocab_size": 250002},
    "xlm_roberta_large": {"vocab_size": 250002, "large": True},
    "distilbert_base": {"vocab_size": 30522},
    "distilbert_base_cased": {"vocab_size": 28996},
    "distilbert_base_multilingual": {"vocab_size": 119547},
  }
)
"""{preset: what its config.json on the Hub has, as far as it matters}."""

LENGTHS = (9, 5, 2)  # the second padded at its right, the third nearly empty


def preset_settings(preset: str) -> dict[str, object]:
  """Returns the settings of a preset's config in transformers."""
  found = dict(PRESETS[preset])
  if found.pop("large", False):
    found |= {
      "hidden_size": 1024,
      "num_hidden_layers": 24,
      "num_attention_heads": 16,
      "intermediate_size": 4096,
    }
  if "roberta" in preset:
    found |= {
      "max_position_embeddings": 514,
      "type_vocab_size": 1,
      "layer_norm_eps": 1e-5,
    }
  return found


def inputs(family: str, seed: int = 0) -> dict[str, np.ndarray]:
  """Returns token ids [3 9], padded with the family's padding."""
  settings = SETTINGS[family]
  pad = settings["pad_token_id"]
  rng = np.random.default_rng([seed, len(family)])
  ids = rng.integers(pad + 1, settings["vocab_size"], (3, 9), np.int32)
  mask = np.arange(9) < np.array(LENGTHS)[:, None]
  found = {
    "input_ids": np.where(mask, ids, pad).astype(np.int32),
    "attention_mask": mask.astype(np.int32),
  }
  if settings.get("type_vocab_size", 1) > 1:
    found["token_type_ids"] = rng.integers(0, 2, (3, 9), np.int32) * mask
  return found


def cotangents(family: str, task: str, seed: int = 0) -> dict[str, np.ndarray]:
  """Returns what each output is multiplied with to get a scalar loss.

  None of padding's own: PyTorch keeps the gradient of `padding_idx` at zero.
  """
  settings = SETTINGS[family]
  width = settings.get("hidden_size") or settings["dim"]
  words, labels = settings["vocab_size"], settings["num_labels"]
  shapes = {
    "logits": (3, labels)
    if task == "classification"
    else (3, 9, words if task == "mlm" else labels),
    "hidden": (3, 9, width),
  }
  mask = inputs(family, seed)["attention_mask"][..., None]
  return {
    name: weights.draw(f"cotangent/{name}", shape, seed)
    * (mask if len(shape) == 3 else 1)
    for name, shape in shapes.items()
  }
