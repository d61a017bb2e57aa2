"""How Keras spells its variables, for the tables of every family."""

import dataclasses
import types

from jft.pretrained.layouts import Entry
from jft.pretrained.preprocessing import Preprocessing
from jft.typing import Iterable, Mapping

CAFFE = Preprocessing(
  224, (123.68 / 255, 116.779 / 255, 103.939 / 255), (1 / 255,) * 3
)
"""`preprocess_input(mode="caffe")`, in RGB: stems take the "bgr" layout."""


@dataclasses.dataclass(frozen=True)
class Spelling:
  """Finds a layer's variable among a source's names.

  Keras 2 wrote "conv1/kernel:0", its HDF5 files repeat the layer
  ("conv1/conv1/kernel:0"); converters, and jft's own reader of such files,
  leave ":0" away.

  Attributes:
    names: {"layer/variable": the source's own name}.

  >>> spelling(["fc/fc/kernel:0"]).of("fc/kernel")
  'fc/fc/kernel:0'
  >>> spelling([]).of("fc/kernel")
  'fc/kernel:0'
  """

  names: Mapping[str, str]

  def of(self, name: str) -> str:
    """Returns a source's own name for a variable.

    Args:
      name: "layer/variable".
    """
    return self.names.get(name, f"{name}:0")

  def conv(
    self, ours: str, theirs: str, *, bias: bool, layout: str = "same"
  ) -> dict[str, Entry]:
    """Returns the entries of a convolution.

    Args:
      ours: jft's name of the module.
      theirs: Keras' name of the layer.
      bias: whether it has one.
      layout: of the kernel; Keras' is Flax's own but for BGR stems.
    """
    kernel = Entry(self.of(f"{theirs}/kernel"), layout)
    entries = {f"params/{ours}/kernel": kernel}
    if bias:
      entries[f"params/{ours}/bias"] = Entry(self.of(f"{theirs}/bias"))
    return entries

  def depthwise(self, ours: str, theirs: str) -> dict[str, Entry]:
    """Returns the entry of a depthwise convolution, which has no bias.

    Keras 1 and 2 call its kernel "depthwise_kernel", Keras 3 "kernel".
    """
    name = f"{theirs}/kernel"
    if name not in self.names:
      name = f"{theirs}/depthwise_kernel"
    return {f"params/{ours}/kernel": Entry(self.of(name), "depthwise")}

  def dense(self, ours: str, theirs: str) -> dict[str, Entry]:
    """Returns the entries of a dense layer."""
    return self.conv(ours, theirs, bias=True)

  def norm(self, ours: str, theirs: str) -> dict[str, Entry]:
    """Returns the entries of a BatchNormalization."""
    return {
      f"params/{ours}/scale": Entry(self.of(f"{theirs}/gamma")),
      f"params/{ours}/bias": Entry(self.of(f"{theirs}/beta")),
      f"batch_stats/{ours}/mean": Entry(self.of(f"{theirs}/moving_mean")),
      f"batch_stats/{ours}/var": Entry(self.of(f"{theirs}/moving_variance")),
    }


def spelling(
  names: Iterable[str], layers: Mapping[str, str] = types.MappingProxyType({})
) -> Spelling:
  """Returns how a source spells its names.

  Args:
    names: all of the source's; none for those of Keras 2.
    layers: {what older releases called a layer: its name today}, for names
      with a "/" in them.
  """
  found = {}
  for name in names:
    today = name
    for old, new in layers.items():
      today = today.replace(f"{old}/", f"{new}/")
    found["/".join(today.removesuffix(":0").split("/")[-2:])] = name
  return Spelling(found)
