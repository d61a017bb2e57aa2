"""What is exported: a run's best network, a source's, or one in memory."""

import dataclasses
import pathlib
import types

from jft import adapters, distill, quantize, restored, tree
from jft import config as configs
from jft.adapters import Adapted
from jft.build import encode
from jft.build.model import load_net
from jft.build.task import reads
from jft.data.text import Reads
from jft.errors import UserError
from jft.exports import samples
from jft.exports.samples import Samples
from jft.net import Net, load_pretrained
from jft.own import Own
from jft.pretrained import hub
from jft.pretrained.preprocessing import FIELDS
from jft.spec import Spec
from jft.state import TrainState
from jft.tuning.adapters.method import ADAPTERS
from jft.typing import (
  Any,
  ApplyFn,
  Callable,
  Mapping,
  Params,
  Sequence,
  Variables,
)


@dataclasses.dataclass(frozen=True)
class Beside:
  """Adapters that have been trained beside a network.

  Attributes:
    net: the network with them, trained.
    initial: the adapters' trees before the training; {} if unknown.
    plain: () -> the network as it was loaded, without them; quantised kernels
      are what their codes stand for.
    trained: names, with "params/", of the base's leaves that were trained too.
  """

  net: Adapted
  initial: Params
  plain: Callable[[], Net]
  trained: frozenset[str]


@dataclasses.dataclass(frozen=True)
class Subject:
  """A network and all that goes with it.

  Attributes:
    title: what the user called it.
    apply, variables: of the network itself.
    spec: what it is, its class names, how its images are prepared.
    folder: of the source, for the files beside its weights; None if unknown.
    source_config: the config.json there.
    max_length: tokens that texts are cut to, 0 for as many as the source says.
    new_tokens: words that the run has added to the tokenizer.
    reads: how a text example is read.
    samples: real inputs, to compare on.
    beside: adapters that are not merged into the variables; None for none.
    notes: what the user shall know of how it was made.
  """

  title: str
  apply: ApplyFn
  variables: Variables
  spec: Spec
  samples: Samples
  folder: pathlib.Path | None = None
  source_config: Mapping[str, Any] = dataclasses.field(
    default_factory=lambda: types.MappingProxyType({})
  )
  max_length: int = 0
  new_tokens: tuple[str, ...] = ()
  reads: Reads = "text"
  beside: Beside | None = None
  notes: tuple[str, ...] = ()

  @property
  def own(self) -> Own | None:
    """A user's own model, None for a family's."""
    return self.spec.config if isinstance(self.spec.config, Own) else None

  @property
  def preprocessing(self) -> dict[str, Any]:
    """How images are prepared, `Preprocessing`'s fields; {} if unknown."""
    if self.spec.kind != "image" or not self.spec.image_size:
      return {}
    return {field: getattr(self.spec, field) for field in FIELDS}


def of_net(net: Net, title: str = "") -> Subject:
  """Returns a network in memory as a subject."""
  folder, found = _beside(net.spec.source)
  return Subject(
    title or net.spec.source or net.spec.preset or net.spec.family,
    net.apply,
    net.variables,
    net.spec,
    samples.generated(net.spec),
    folder,
    found,
    max_length=_room(net) if isinstance(net, Adapted) else 0,
    beside=_in_memory(net) if isinstance(net, Adapted) else None,
  )


def of_source(source: str, arch: str | None = None, **options: Any) -> Subject:
  """Returns what `load_pretrained` makes of a source."""
  return of_net(load_pretrained(source, arch=arch, **options), source)


def of_run(workdir: str | pathlib.Path, title: str = "") -> Subject:
  """Returns a run's best network, with the run's labels and preparation.

  Args:
    workdir: of the run.
    title: what the user called it.

  Raises:
    UserError: if there is no run, or none of its evaluations is saved.
  """
  config, net, names, state = restored.best_model(workdir, fit=False)
  params = distill.student(state.eval_variables["params"])
  variables = {**state.eval_variables, "params": params}
  facts = encode.preprocessing(config, net.spec)
  facts.pop("from", None)
  spec = dataclasses.replace(net.spec, label_names=names, **facts)
  folder, found = _beside(spec.source)
  return Subject(
    title or str(workdir),
    net.apply,
    variables,
    spec,
    samples.of_run(config, spec),
    folder,
    found,
    max_length=config.data.max_length if spec.kind == "text" else 0,
    new_tokens=tuple(config.model.new_tokens),
    reads=reads(config),
    beside=_of_run(config, net, names, state, variables),
  )


def _room(net: Adapted) -> int:
  """Returns the tokens of text that learned ones leave room for, 0: all."""
  learned = sum(getattr(net.methods[x], "tokens", 0) for x in net.active)
  most = getattr(net.spec.config, "max_tokens", 0)
  return most - learned if most and learned else 0


def _in_memory(net: Adapted) -> Beside:
  drawn = {
    row.name
    for row in net.report
    if row.status in ("reinit", "resized") and row.name
  }
  return Beside(net, {}, lambda: adapters.bare(net), frozenset(drawn))


def _of_run(
  config: Any,
  net: Net,
  names: Sequence[str],
  state: TrainState,
  variables: Variables,
) -> Beside | None:
  if not isinstance(net, Adapted):
    return None
  trained = dataclasses.replace(net, variables=variables)
  without = configs.from_dict(config)
  without.adapter.name = ""
  without.task.teacher = ""
  found = _in_memory(net)

  def plain() -> Net:
    if config.model.quantize:  # What it was trained beside, not what is loaded.
      made = quantize.dequantize(net).variables
      return adapters.bare(dataclasses.replace(net, variables=made))
    return load_net(without, names, fit=False)

  return Beside(
    trained,
    net.params[ADAPTERS],
    plain,
    found.trained | {f"params/{name}" for name in tree.flatten(state.params)},
  )


def _beside(source: str) -> tuple[pathlib.Path | None, Mapping[str, Any]]:
  """Returns a source's folder and config.json, if it is still there."""
  if not source:
    return None, {}
  try:
    located = hub.locate(source)
  except (UserError, OSError):
    return None, {}
  whole = located.kind != "file"
  return (located.folder if whole else None), located.config
