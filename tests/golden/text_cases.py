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

_BERTS = types.MappingProxyType(
  {
    "bert_tiny": (128, 2, 2),
    "bert_mini": (256, 4, 4),
    "bert_small": (512, 4, 8),
    "bert_medium": (512, 8, 8),
    "bert_base": (768, 12, 12),
    "bert_large": (1024, 24, 16),
    "minilm_l6": (384, 6, 12),
  }
)
_ROBERTAS = types.MappingProxyType(
  {
    "roberta_base": (50265, 768, 12, 12),
    "roberta_large": (50265, 1024, 24, 16),
    "distilroberta_base": (50265, 768, 6, 12),
    "xlm_roberta_base": (250002, 768, 12, 12),
    "xlm_roberta_large": (250002, 1024, 24, 16),
  }
)
_DISTILBERTS = types.MappingProxyType(
  {
    "distilbert_base": 30522,
    "distilbert_base_cased": 28996,
    "distilbert_base_multilingual": 119547,
  }
)
PRESETS = (*_BERTS, *_ROBERTAS, *_DISTILBERTS)

LENGTHS = (9, 5, 2)  # the second padded at its right, the third nearly empty


def family_of(preset: str) -> str:
  """Returns the family of a preset."""
  if preset in _DISTILBERTS:
    return "distilbert"
  return "roberta" if preset in _ROBERTAS else "bert"


def preset_settings(preset: str) -> dict[str, object]:
  """Returns what the preset's config.json has, as far as it matters here."""
  if preset in _DISTILBERTS:
    return {"vocab_size": _DISTILBERTS[preset]}
  vocab, width, depth, heads = (
    (30522, *_BERTS[preset]) if preset in _BERTS else _ROBERTAS[preset]
  )
  sizes = {
    "vocab_size": vocab,
    "hidden_size": width,
    "num_hidden_layers": depth,
    "num_attention_heads": heads,
    "intermediate_size": 4 * width,
  }
  if preset in _BERTS:
    return sizes
  return sizes | {
    "max_position_embeddings": 514,
    "type_vocab_size": 1,
    "layer_norm_eps": 1e-5,
  }


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
