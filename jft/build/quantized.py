"""Config -> the network with its frozen kernels in 8 or 4 bits."""

from jft import adapters, quantize, tree
from jft.build.phases import rules_of
from jft.errors import UserError
from jft.net import Net
from jft.tuning import freeze
from jft.tuning.freeze import FREEZE
from jft.tuning.quantized import KINDS
from jft.typing import Any


def check_quantized(config: Any) -> None:
  """Raises UserError where `model.quantize` contradicts what is trained."""
  kind = config.model.quantize
  if kind not in ("", *KINDS):
    raise UserError(
      f"model.quantize={kind!r}: choose one of {', '.join(KINDS)}."
    )
  if not kind:
    return
  preset = config.tune.preset
  if preset == "surgical":
    raise UserError(
      f"model.quantize={kind!r}: tune.preset='surgical' chooses by gradients of"
      " the weights themselves; choose another preset."
    )
  if preset in ("full", "lp_ft") and not config.adapter.name:
    raise UserError(
      f"model.quantize={kind!r} is of frozen weights, and"
      f" tune.preset={preset!r} trains all of them: give adapter.name='lora'"
      " (QLoRA), or another tune.preset."
    )


def with_quantized(config: Any, network: Net, plain: Net) -> Net:
  """Returns the network with the kernels that the run freezes quantised.

  Args:
    config: of the run.
    network: with its adapter, as the task calls it.
    plain: the same as its family calls it.

  Raises:
    UserError: if nothing is frozen, or an adapter needs the kernels.
  """
  if not config.model.quantize:
    return network
  rules = rules_of(config, network.params)
  labels = tree.flatten(freeze.label(network.params, rules))
  return quantize.quantize(
    network,
    config.model.quantize,
    lambda name: labels[name] == FREEZE,
    at=adapters.sites(plain),
  )
