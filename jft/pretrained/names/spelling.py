"""How PyTorch and Flax spell the leaves of the same layers."""

from typing import NamedTuple

from jft.pretrained.layouts import Entry, Part


class Spelling(NamedTuple):
  """What a project calls the leaves of a layer, and how it lays them out.

  The methods take the layer's name in jft, without its collection, and in the
  source, with "." between its parts; they return rows of a name table.

  Attributes:
    separator: between the parts of a source's name.
    kernel, scale, embedding: names of these leaves; a bias is a bias anywhere.
    dense, conv: layouts of the kernels.
  """

  separator: str
  kernel: str
  scale: str
  embedding: str
  dense_layout: str
  conv_layout: str

  def name(self, theirs: str) -> str:
    """Returns a dotted name as the source has it."""
    return theirs.replace(".", self.separator)

  def leaf(self, ours: str, theirs: str) -> dict[str, Entry]:
    """One variable, as it is."""
    return {f"params/{ours}": Entry(self.name(theirs))}

  def norm(self, ours: str, theirs: str) -> dict[str, Entry]:
    """A LayerNorm: scale and bias."""
    return self.leaf(f"{ours}/scale", f"{theirs}.{self.scale}") | self.leaf(
      f"{ours}/bias", f"{theirs}.bias"
    )

  def dense(
    self, ours: str, theirs: str, *, bias: bool = True, part: Part | None = None
  ) -> dict[str, Entry]:
    """A dense layer, or one of several that the source holds in one."""
    kernel, layout = self.name(f"{theirs}.{self.kernel}"), self.dense_layout
    if part is not None and layout == "same":
      part = part._replace(axis=1)  # the outputs come last there
    found = {f"params/{ours}/kernel": Entry(kernel, layout, part)}
    if bias:
      part = None if part is None else part._replace(axis=0)
      found[f"params/{ours}/bias"] = Entry(
        self.name(f"{theirs}.bias"), part=part
      )
    return found

  def conv(
    self, ours: str, theirs: str, *, bias: bool = True
  ) -> dict[str, Entry]:
    """A convolution."""
    kernel = self.name(f"{theirs}.{self.kernel}")
    found = {f"params/{ours}/kernel": Entry(kernel, self.conv_layout)}
    return found | (self.leaf(f"{ours}/bias", f"{theirs}.bias") if bias else {})


TORCH = Spelling(".", "weight", "weight", "weight", "dense", "conv")
FLAX = Spelling("/", "kernel", "scale", "embedding", "same", "same")
