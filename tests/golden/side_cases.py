"""What every golden of an adapter beside LoRA is computed from; NumPy alone."""

import types

import numpy as np
from golden import decoder_cases, text_cases, weights

TOKENS = 3
WIDTH = 5

CASES = types.MappingProxyType(
  {
    "ia3_bert": ("ia3", "bert"),
    "ia3_llama": ("ia3", "llama"),
    "ia3_gpt2": ("ia3", "gpt2"),
    "prefix_bert": ("prefix", "bert"),
    "prefix_roberta": ("prefix", "roberta"),
    "prefix_llama": ("prefix", "llama"),
    "prefix_gpt2": ("prefix", "gpt2"),
    "projected_bert": ("projected", "bert"),
    "prompt_bert": ("prompt", "bert"),
    "prompt_roberta": ("prompt", "roberta"),
    "prompt_llama": ("prompt", "llama"),
    "prompt_gpt2": ("prompt", "gpt2"),
    "houlsby_bert": ("houlsby", "bert"),
    "houlsby_llama": ("houlsby", "llama"),
    "houlsby_vit": ("houlsby", "vit"),
    "parallel_bert": ("parallel", "bert"),
    "parallel_llama": ("parallel", "llama"),
    "vpt_shallow": ("vpt_shallow", "vit"),
    "vpt_deep": ("vpt_deep", "vit"),
  }
)
"""{case: (method, model)}; what is recorded is in `make_side.record`."""

ENCODERS = ("bert", "roberta")
DECODERS = ("llama", "gpt2")


def sizes(model: str) -> tuple[int, int, int]:
  """Returns channels, inner channels of the MLP, and those of all keys."""
  return {
    "bert": (24, 40, 24),
    "roberta": (24, 40, 24),
    "llama": (24, 36, 20),
    "gpt2": (24, 96, 24),
    "vit": (32, 48, 32),
  }[model]


def shapes(case: str) -> dict[str, tuple[int, ...]]:
  """Returns {leaf of jft's tree: shape}; every model has two blocks."""
  method, model = CASES[case]
  d, inner, keys = sizes(model)
  if method == "prompt":
    return {"embeddings/prompt": (TOKENS, d)}
  if method == "projected":
    return {
      "prefix_embedding": (TOKENS, d),
      "prefix_in/kernel": (d, WIDTH),
      "prefix_in/bias": (WIDTH,),
      "prefix_out/kernel": (WIDTH, 4 * keys),
      "prefix_out/bias": (4 * keys,),
    }
  found = {}
  for block in ("block_00", "block_01"):
    found |= _of_block(method, block, d, inner, keys)
  return found


def _of_block(method, block, d, inner, keys):
  if method.startswith("vpt"):
    here = method == "vpt_deep" or block == "block_00"
    return {f"{block}/prompt": (TOKENS, d)} if here else {}
  if method == "prefix":
    return {
      f"{block}/attention/prefix_{kind}": (TOKENS, keys)
      for kind in ("key", "value")
    }
  if method == "ia3":
    return {
      f"{block}/attention/key/output/scale": (keys,),
      f"{block}/attention/value/output/scale": (keys,),
      f"{block}/mlp/down/input/scale": (inner,),
    }
  branches = ("mlp",) if method == "parallel" else ("attention", "mlp")
  return {
    f"{block}/{branch}/bottleneck/{leaf}": shape
    for branch in branches
    for leaf, shape in {
      "down/kernel": (d, WIDTH),
      "down/bias": (WIDTH,),
      "up/kernel": (WIDTH, d),
      "up/bias": (d,),
    }.items()
  }


def values(case: str, seed: int = 0) -> dict[str, np.ndarray]:
  """Returns {leaf of jft's tree: its values}, those of scales around 1."""
  return {
    name: weights.draw(name, shape, seed) + np.float32(name.endswith("scale"))
    for name, shape in shapes(case).items()
  }


def inputs(case: str, seed: int = 0) -> dict[str, np.ndarray] | np.ndarray:
  """Returns what the model reads; texts are padded at their right alone."""
  _, model = CASES[case]
  if model == "vit":
    return weights.images(3, seed, 16)
  if model in DECODERS:
    found = decoder_cases.inputs(model, seed)
    return {name: array[:2] for name, array in found.items()}
  # 9 tokens are all that this RoBERTa has positions for.
  found = text_cases.inputs(model, seed)
  return {name: array[:, : 9 - TOKENS] for name, array in found.items()}


def cotangent(logits: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
  """Returns what the logits are multiplied with to get a scalar loss."""
  found = weights.draw("cotangent", logits.shape, 0)
  return found * (mask[..., None] if logits.ndim == 3 else 1)
