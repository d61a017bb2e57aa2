"""What a model is made of, what it costs and what a config would train."""

import dataclasses
import re

import jax
import numpy as np

from jft import loading, net, tree
from jft.build.data import make_sources
from jft.build.run import load_net, total_steps
from jft.build.tuning import Tuning, make_tuning
from jft.net import Net
from jft.tuning import freeze
from jft.typing import Any, Sequence

# Where no config says how long a text is.
_TOKENS = 128


@dataclasses.dataclass(frozen=True)
class Part:
  """One top-level part of the network: a block, the stem, the head.

  Attributes:
    name: such as "block_03".
    params: its parameters; trained: those a config trains.
    shapes: {leaf name: shape}.
  """

  name: str
  params: int
  trained: int
  shapes: dict[str, tuple[int, ...]]


@dataclasses.dataclass(frozen=True)
class Inspection:
  """Everything `jft inspect` shows; all of it plain values.

  Attributes:
    spec: family, preset, source, input and label facts.
    load: {status: count} of the load.
    parts: in the order of the network.
    flops: multiply-adds count twice; of one example, forward.
    step_flops: of one example in a train step; each phase, and "full".
    freeze: a row a label (no config: one row, all frozen).
    phases: which labels from which step on.
  """

  spec: dict[str, Any]
  load: dict[str, int]
  parts: list[Part]
  flops: float
  step_flops: dict[str, float]
  freeze: list[freeze.Row]
  phases: list[dict[str, Any]]


def inspect_source(source: str, *, arch: str | None = None) -> Inspection:
  """Inspects pretrained weights as they are.

  Args:
    source: as for `load_pretrained`.
    arch: of a bare file.
  """
  network = net.load_pretrained(source, arch=arch)
  return _inspect(network, None, network.spec.image_size, _TOKENS)


def inspect_config(config: Any) -> Inspection:
  """Inspects a config's model with what the config would train."""
  from jft.build.check import check

  check(config)
  sources = make_sources(config)
  network = load_net(config, sources["train"].label_names or ())
  total = total_steps(config, len(sources["train"]))
  return _inspect(
    network,
    make_tuning(config, network.params, total),
    config.data.image_size or network.spec.image_size,
    config.data.max_length,
  )


def _inspect(
  network: Net, tuning: Tuning | None, size: int, tokens: int
) -> Inspection:
  inputs = _inputs(network, size, tokens)
  labels = tuning.labels if tuning else {}
  trained = freeze.is_trained(labels) if tuning else lambda name: False
  phases = tuning.phases if tuning else ()
  step_flops = {
    f"phase {i}": _step_flops(
      network, freeze.is_trained(labels, phase.labels), inputs
    )
    for i, phase in enumerate(phases)
  }
  return Inspection(
    spec=_facts(network, size, tokens),
    load=network.report.counts(),
    parts=_parts(network.params, trained),
    flops=_cost(_forward(network), network.variables, inputs),
    step_flops={
      **step_flops,
      "full": _step_flops(network, lambda name: True, inputs),
    },
    freeze=freeze.table(network.params, labels, tuning.transforms)
    if tuning
    else [],
    phases=[
      {"start_step": p.start_step, "labels": sorted(p.labels)} for p in phases
    ],
  )


def _facts(network: Net, size: int, tokens: int) -> dict[str, Any]:
  spec = network.spec
  inputs = f"up to {tokens} token ids"
  if spec.kind == "image":
    inputs = (
      f"{size} x {size} x {spec.config.in_channels},"
      f" (x / 255 - {_numbers(spec.mean)}) / {_numbers(spec.std)}"
    )
  return {
    "source": spec.source,
    "family": spec.family,
    "preset": spec.preset,
    "inputs": inputs,
    "num_classes": spec.num_classes,
    "label_names": list(spec.label_names),
    "params": tree.count(network.params),
    "mb": round(tree.nbytes(network.variables) / 2**20, 2),
    "sha256": spec.sha256,
  }


def _numbers(values: Sequence[float]) -> str:
  return ", ".join(f"{value:g}" for value in values)


def _parts(params: Any, trained) -> list[Part]:
  groups: dict[str, dict[str, Any]] = {}
  for name, leaf in tree.flatten(params).items():
    groups.setdefault(name.split("/")[0], {})[name] = leaf
  return [
    Part(
      group,
      tree.count(leaves),
      tree.count({n: x for n, x in leaves.items() if trained(n)}),
      {name: tuple(leaf.shape) for name, leaf in leaves.items()},
    )
    for group, leaves in sorted(groups.items(), key=_depth)
  ]


def _depth(item: tuple[str, Any]) -> tuple[int, str]:
  """Below the blocks, the blocks, above them, the head."""
  name = item[0]
  if name in ("stem", "embeddings"):
    return 0, name
  if re.fullmatch(r"block_\d+", name):
    return 1, name
  return (3 if name == "head" else 2), name


def _inputs(network: Net, size: int, tokens: int) -> Any:
  if network.spec.kind == "text":
    ids = np.ones((1, tokens), np.int32)
    return {"input_ids": ids, "attention_mask": ids}
  return loading.dummy_inputs(network.spec, network.spec.config, size)


def _forward(network: Net):
  def forward(variables, inputs):
    out = network.apply(variables, inputs)
    return out["logits"] if "logits" in out else out["features"]

  return forward


def _step_flops(network: Net, active: Any, inputs: Any) -> float:
  """FLOPs of loss and gradient of the active leaves, compiled, one example."""
  live, held = tree.split(network.params, active)
  rest = {k: v for k, v in network.variables.items() if k != "params"}
  forward = _forward(network)

  # All of it as arguments: what is closed over, XLA would compute beforehand.
  def loss(live, held, rest, inputs):
    return forward({"params": tree.merge(live, held), **rest}, inputs).sum()

  return _cost(jax.value_and_grad(loss), live, held, rest, inputs)


def _cost(fn: Any, *args: Any) -> float:
  compiled = jax.jit(fn).lower(*args).compile()
  return float((compiled.cost_analysis() or {}).get("flops", float("nan")))
