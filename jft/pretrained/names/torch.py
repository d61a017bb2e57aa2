"""How PyTorch spells a layer's tensors, for the tables of every family."""

from jft.pretrained.layouts import Entry
from jft.typing import Rules

TORCH_DROPPED: Rules = (
  (
    r"(.*\.)?num_batches_tracked",
    "a counter that PyTorch reads only when momentum is None",
  ),
)
"""Tensors of PyTorch's BatchNorm that jft never needs, and why."""


class Torch:
  """Entries of layers, by jft's name and the source's of a module."""

  def conv(
    self, ours: str, theirs: str, *, bias: bool, layout: str = "conv"
  ) -> dict[str, Entry]:
    """Returns the entries of a convolution.

    Args:
      ours, theirs: names of the module.
      bias: whether it has one.
      layout: of the kernel.
    """
    entries = {f"params/{ours}/kernel": Entry(f"{theirs}.weight", layout)}
    if bias:
      entries[f"params/{ours}/bias"] = Entry(f"{theirs}.bias")
    return entries

  def depthwise(
    self, ours: str, theirs: str, *, bias: bool = False
  ) -> dict[str, Entry]:
    """Returns the entries of a depthwise convolution."""
    return self.conv(ours, theirs, bias=bias)

  def dense(self, ours: str, theirs: str) -> dict[str, Entry]:
    """Returns the entries of a dense layer."""
    return self.conv(ours, theirs, bias=True, layout="dense")

  def layer_norm(self, ours: str, theirs: str) -> dict[str, Entry]:
    """Returns the entries of a LayerNorm."""
    return {
      f"params/{ours}/scale": Entry(f"{theirs}.weight"),
      f"params/{ours}/bias": Entry(f"{theirs}.bias"),
    }

  def norm(self, ours: str, theirs: str) -> dict[str, Entry]:
    """Returns the entries of a BatchNorm and of its running statistics."""
    return self.layer_norm(ours, theirs) | {
      f"batch_stats/{ours}/mean": Entry(f"{theirs}.running_mean"),
      f"batch_stats/{ours}/var": Entry(f"{theirs}.running_var"),
    }


TORCH = Torch()
