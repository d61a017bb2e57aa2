"""A network whose frozen dense layers keep their kernels in 8 or 4 bits."""

import dataclasses

from jft import tree
from jft.adapters import Adapted, sites
from jft.errors import UserError
from jft.net import Net
from jft.tuning import quantized
from jft.tuning.adapters.dora import DoRA
from jft.tuning.adapters.method import wrap
from jft.tuning.adapters.sites import Site
from jft.tuning.freeze import HEAD
from jft.typing import Callable, Mapping, Params


def quantize(
  net: Net,
  kind: str,
  chosen: Callable[[str], bool] = lambda name: True,
  *,
  at: Mapping[str, Site] | None = None,
) -> Net:
  """Returns the network with the kernels of its dense layers quantised.

  Those of the head stay as they are. Adapters come first: they start from the
  kernels as loaded. LoRA beside "nf4" is QLoRA.

  Args:
    net: of jft's own architectures, with or without adapters.
    kind: "int8" or "nf4", see `jft.tuning.quantized.quantize`.
    chosen: name -> is this kernel frozen, and so to be quantised?
    at: what `jft.adapters.sites` returned, where the network's inputs are not
      its family's.

  Raises:
    UserError: if it is quantised already, or there is nothing to quantise.

  Source: Dettmers et al., 2023 (arXiv:2305.14314).
  """
  if quantized.is_quantized(net.params):
    raise UserError("quantize: the network is quantised already.")
  _check_adapters(net)
  held = tree.flatten(net.params)
  kernels = {
    f"{name}/kernel"
    for name, site in (at or sites(net)).items()
    if site.kind == "Dense" and name.partition("/")[0] != HEAD
  }
  kernels = {name for name in kernels if name in held and chosen(name)}
  if not kernels:
    raise UserError(
      "quantize: no dense layer below the head is frozen, so there is nothing"
      " to quantise; train an adapter, or less of the model."
    )
  params = quantized.quantize_params(
    net.params, kind, lambda name: name in kernels
  )
  return _replaced(net, params)


def dequantize(net: Net, *, at: Mapping[str, Site] | None = None) -> Net:
  """Returns the network with float32 kernels, of what the codes stand for.

  Adapters can then be merged, and the network exported; its outputs are those
  of the quantised one, not of the network as it was loaded.

  Args:
    net: a quantised one.
    at: as for `quantize`.

  Raises:
    UserError: if it is not quantised.
  """
  names = {
    name.removesuffix("_scale")
    for name in tree.flatten(net.params)
    if quantized.is_scale(name)
  }
  if not names:
    raise UserError("dequantize: the network is not quantised.")
  shapes = {
    f"{name}/kernel": (site.inputs[-1], site.outputs[-1])
    for name, site in (at or sites(net)).items()
    if f"{name}/kernel" in names and site.inputs and site.outputs
  }
  params = quantized.dequantize_params(net.params, shapes)
  return dataclasses.replace(net, variables={**net.variables, "params": params})


def _check_adapters(net: Net) -> None:
  if not isinstance(net, Adapted):
    return
  for name, method in net.methods.items():
    if isinstance(method, DoRA):
      raise UserError(
        f"quantize: the adapter {name!r} (dora) reads the kernels themselves,"
        " which are codes then; choose lora."
      )


def _replaced(net: Net, params: Params) -> Net:
  variables = {**net.variables, "params": params}
  if not isinstance(net, Adapted):
    apply = quantized.wrap(net.apply)
    return dataclasses.replace(net, apply=apply, variables=variables)
  # Next to the modules: an adapter adds to what the quantised layer gives.
  inner = quantized.wrap(net.inner)
  apply = wrap(inner, net.methods, net.active)
  return dataclasses.replace(net, inner=inner, apply=apply, variables=variables)
