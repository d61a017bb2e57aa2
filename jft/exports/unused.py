"""Tensors that a library wants in a file and no output depends on.

Left out, they would be called missing there, and be drawn at random.
"""

import numpy as np

from jft.typing import Any, Mapping

_NAMED = ("deit", "dinov2", "dinov2_with_registers")


def added(
  arrays: Mapping[str, np.ndarray], config: Any, model_type: str = ""
) -> dict[str, np.ndarray]:
  """Returns the arrays and those that nothing is computed with.

  Args:
    arrays: {name in the target: array}.
    config: of the network.
    model_type: of transformers; "" for another library.

  >>> list(added({"bn1.running_mean": np.zeros(1)}, None))
  ['bn1.running_mean', 'bn1.num_batches_tracked']
  """
  end = ".running_mean"
  more: dict[str, np.ndarray] = {
    name.removesuffix(end) + ".num_batches_tracked": np.zeros((), np.int64)
    for name in arrays
    if name.endswith(end)
  }
  if model_type.startswith("dinov2"):
    # Stands for hidden patches in the pretraining.
    name = f"{model_type}.embeddings.mask_token"
    more[name] = np.zeros((1, config.width), np.float32)
  if model_type == "clip" and config.norm == "none":
    name = "vision_model.post_layernorm"
    more[f"{name}.weight"] = np.ones(config.width, np.float32)
    more[f"{name}.bias"] = np.zeros(config.width, np.float32)
  return {**arrays, **more}


def prefix_hint(model_type: str, separator: str) -> dict[str, tuple[int, ...]]:
  """Returns a name that tells a table of vision transformers its prefix.

  Args:
    model_type: of transformers.
    separator: between the parts of a name.

  >>> prefix_hint("deit", ".")
  {'deit.embeddings.cls_token': ()}
  """
  if model_type not in _NAMED:
    return {}
  return {separator.join((model_type, "embeddings", "cls_token")): ()}
