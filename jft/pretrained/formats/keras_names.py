"""Keras' own names for the weights of its files: "conv1_conv/kernel".

Keras 2 and 3 write that name into `.h5` files. `.weights.h5` and `.keras` say
which layer a group is, and number its variables.

Source: keras/src/legacy/saving/legacy_h5_format.py and
keras/src/saving/saving_lib.py.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

MAX_DEPTH = 30  # of models in models

_OLD_PARTS = {  # Keras 1, which wrote "block1_conv1_W_1:0"
  "W": "kernel",
  "b": "bias",
  "gamma": "gamma",
  "beta": "beta",
  "running_mean": "moving_mean",
  "running_std": "moving_variance",
}
_KERNEL = ("kernel", "bias")
_VARIABLES: Mapping[str, tuple[str, ...]] = {
  **dict.fromkeys(("dense", "einsum_dense"), _KERNEL),
  **{f"conv{n}d": _KERNEL for n in (1, 2, 3)},
  **{f"conv{n}d_transpose": _KERNEL for n in (1, 2, 3)},
  **{f"depthwise_conv{n}d": _KERNEL for n in (1, 2)},
  **{
    f"separable_conv{n}d": ("depthwise_kernel", "pointwise_kernel", "bias")
    for n in (1, 2)
  },
  "embedding": ("embeddings",),
  "normalization": ("mean", "variance", "count"),
  "p_re_lu": ("alpha",),
}
# Which of gamma and beta there are, their settings `scale` and `center` tell.
_NORMS: Mapping[str, tuple[str, ...]] = {
  "batch_normalization": ("moving_mean", "moving_variance"),
  "layer_normalization": (),
  "group_normalization": (),
}


def of_weight(layer: str, weight: str) -> str:
  """Returns the name of a weight as `weight_names` lists it, made uniform.

  >>> of_weight("conv1_conv", "conv1_conv_1/kernel:0")
  'conv1_conv/kernel'
  >>> of_weight("block1_conv1", "block1_conv1_W_1:0")
  'block1_conv1/kernel'
  """
  name = re.sub(r":\d+$", "", weight)
  old = re.fullmatch(re.escape(layer) + r"_([A-Za-z_]+?)(_\d+)?", name)
  if old and old[1] in _OLD_PARTS:
    return f"{layer}/{_OLD_PARTS[old[1]]}"
  first, slash, rest = name.partition("/")
  if not slash:
    return f"{layer}/{name}"
  # A second model in one session counts up; the layer keeps its own name.
  first = layer if re.fullmatch(re.escape(layer) + r"_\d+", first) else first
  return f"{first}/{rest.removeprefix(f'{layer}/') if first == layer else rest}"


def of_variable(
  kind: str, count: int, index: int, config: Mapping[str, Any] | None
) -> str:
  """Returns the name of a numbered variable: "kernel", or "vars/0".

  Args:
    kind: the layer's class in snake case, such as "batch_normalization".
    count: how many variables the layer has.
    index: which one.
    config: of the layer, if it is known.

  >>> of_variable("conv2d", 2, 1, None)
  'bias'
  >>> of_variable("batch_normalization", 3, 0, {"scale": False})
  'beta'
  """
  names = _VARIABLES.get(kind, ())
  if kind in _NORMS:
    found = {} if config is None else config
    names = ("gamma",) * bool(found.get("scale", True))
    names += ("beta",) * bool(found.get("center", True))
    names += _NORMS[kind]
    if len(names) != count:
      names = ()
  return names[index] if count <= len(names) else f"vars/{index}"


def layers(
  model: Any, group: str = "", name: str = "", depth: int = 0
) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
  """Yields (group in the file, name, config) of each layer of a config.json.

  Args:
    model: {"class_name": ..., "config": {"layers": [...]}}; what is malformed
      is passed over.
    group, name: of the model itself.
    depth: how many models it is in.
  """
  config = model.get("config") if isinstance(model, dict) else None
  found = config.get("layers") if isinstance(config, dict) else None
  seen: dict[str, int] = {}
  for layer in found if isinstance(found, list) and depth < MAX_DEPTH else []:
    inner = layer.get("config") if isinstance(layer, dict) else None
    if not isinstance(inner, dict):
      continue
    kind = snake_case(str(layer.get("class_name", ""))[:200])
    count = seen[kind] = seen.get(kind, -1) + 1
    where = (
      f"{group}layers/{kind}_{count}" if count else f"{group}layers/{kind}"
    )
    own = _in(name, str(layer.get("name", inner.get("name", kind)))[:200])
    yield where, own, inner
    yield from layers(layer, f"{where}/", own, depth + 1)


def snake_case(name: str) -> str:
  """Returns a class's name as Keras writes it into a path.

  >>> snake_case("SeparableConv2D"), snake_case("BatchNormalization")
  ('separable_conv2d', 'batch_normalization')
  """
  name = re.sub(r"\W+", "", name)
  name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
  return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def _in(outer: str, inner: str) -> str:
  return f"{outer}/{inner}" if outer else inner
