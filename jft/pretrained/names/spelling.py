"""How torch and Keras spell a layer's tensors, and store them."""

from typing import NamedTuple

from jft.pretrained.layouts import Entry

Entries = dict[str, Entry]


class Spelling(NamedTuple):
  """What follows a layer's name, and the layout of its kernels.

  Attributes:
    kernel, depthwise, bias: of a convolution or a dense layer.
    scale, shift, mean, var: of a norm.
    conv_layout, depthwise_layout, dense_layout: keys of `layouts.LAYOUTS`.
  """

  kernel: str
  depthwise: str
  bias: str
  scale: str
  shift: str
  mean: str
  var: str
  conv_layout: str
  depthwise_layout: str
  dense_layout: str

  def conv(self, ours: str, theirs: str, *, bias: bool = True) -> Entries:
    """Returns the entries of a convolution."""
    found = {
      f"params/{ours}/kernel": Entry(theirs + self.kernel, self.conv_layout)
    }
    return found | (self._bias(ours, theirs) if bias else {})

  def depthwise_conv(
    self, ours: str, theirs: str, *, bias: bool = True
  ) -> Entries:
    """Returns the entries of a depthwise convolution."""
    kernel = Entry(theirs + self.depthwise, self.depthwise_layout)
    found = {f"params/{ours}/kernel": kernel}
    return found | (self._bias(ours, theirs) if bias else {})

  def dense(self, ours: str, theirs: str) -> Entries:
    """Returns the entries of a dense layer."""
    kernel = Entry(theirs + self.kernel, self.dense_layout)
    return {f"params/{ours}/kernel": kernel} | self._bias(ours, theirs)

  def layer_norm(self, ours: str, theirs: str) -> Entries:
    """Returns the entries of a LayerNorm."""
    return {
      f"params/{ours}/scale": Entry(theirs + self.scale),
      f"params/{ours}/bias": Entry(theirs + self.shift),
    }

  def batch_norm(self, ours: str, theirs: str) -> Entries:
    """Returns the entries of a BatchNorm and its running statistics."""
    return self.layer_norm(ours, theirs) | {
      f"batch_stats/{ours}/mean": Entry(theirs + self.mean),
      f"batch_stats/{ours}/var": Entry(theirs + self.var),
    }

  def _bias(self, ours: str, theirs: str) -> Entries:
    return {f"params/{ours}/bias": Entry(theirs + self.bias)}


TORCH = Spelling(
  *(".weight", ".weight", ".bias"),
  *(".weight", ".bias", ".running_mean", ".running_var"),
  *("conv", "conv", "dense"),
)
# Keras 2 has "depthwise_kernel" in its files, Keras 3 "kernel".
KERAS = Spelling(
  *("/kernel", "/depthwise_kernel", "/bias"),
  *("/gamma", "/beta", "/moving_mean", "/moving_variance"),
  *("same", "depthwise", "same"),
)

TORCH_DROPPED = (
  (
    r"(.*\.)?num_batches_tracked",
    "a counter that PyTorch reads only when momentum is None",
  ),
)
"""Tensors of a state dict that no network of jft needs, and why."""
