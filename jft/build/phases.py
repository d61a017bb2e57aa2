"""Config -> what is trained, and from which step on."""

import functools

from jft import distill, tree
from jft.errors import UserError
from jft.tasks import LANGUAGE
from jft.tuning import freeze, unfreeze
from jft.tuning.adapters.method import ADAPTERS
from jft.tuning.freeze import ADAPTER, ADAPTER_B, FREEZE, HEAD
from jft.tuning.quantized import is_scale
from jft.tuning.unfreeze import Phase
from jft.typing import Any, Params, Rules, Sequence

# What a probe that fine-tuning follows takes of the run, unless it is said.
_PROBE = 0.5


def make_phases(
  config: Any,
  params: Params,
  total_steps: int,
  steps_per_epoch: float,
  chosen: Sequence[str],
) -> tuple[Params, tuple[Phase, ...]]:
  """Returns the labels of a config's "tune", and its phases.

  A teacher is frozen whatever the rules say; what projects the student's
  features onto its is trained as the head is.

  Args:
    config: of the run.
    params: of the network; shapes will do.
    total_steps: of the run.
    steps_per_epoch: updates in an epoch.
    chosen: the parts that "surgical" has chosen.

  Raises:
    UserError: for what does not fit the model or the length of the run.
  """
  tune, own = config.tune, distill.student(params)
  labels = freeze.label(own, rules_of(config, own, chosen))
  _check_adapter(labels)
  _check_quantized(labels)
  if tune.unfreeze:
    labels, phases = _gradual(tune, labels, total_steps, steps_per_epoch)
  else:
    trained = frozenset(tree.flatten(labels).values()) - {FREEZE}
    phases = _head_first(tune, trained, total_steps)
  first = phases[0].labels
  beside = {
    distill.TEACHER: FREEZE,
    distill.PROJECTION: HEAD if HEAD in first else min(first),
  }
  for name in params.keys() & beside.keys():
    of_all = dict.fromkeys(tree.flatten(params[name]), beside[name])
    labels = {**labels, name: tree.unflatten(of_all)}
  return labels, phases


def rules_of(config: Any, params: Params, chosen: Sequence[str] = ()) -> Rules:
  """Returns the rules that a config's preset means for this model."""
  tune = config.tune
  beside_adapter = functools.partial(
    freeze.adapter,
    # The head of a language model is no new one.
    head=config.task.name not in LANGUAGE,
    apart=config.adapter.lora_plus_ratio != 1,
  )
  presets = {
    "full": beside_adapter if config.adapter.name else freeze.full,
    "lp_ft": freeze.full,
    "linear_probe": freeze.linear_probe,
    "top_blocks": functools.partial(freeze.top_blocks, n=tune.blocks),
    "surgical": functools.partial(freeze.chosen_parts, chosen=chosen),
    "norm_only": freeze.norm_only,
    "bias_only": freeze.bias_only,
  }
  return presets[tune.preset](params) if tune.preset else tune.rules


def _check_quantized(labels: Params) -> None:
  for name, label in tree.flatten(labels).items():
    if is_scale(name) and label != FREEZE:
      raise UserError(
        f"tune.rules train {name!r}, the scale of a quantised kernel; freeze"
        f' it: ("{name}", "freeze").'
      )


def _check_adapter(labels: Params) -> None:
  adapter = tree.flatten(labels.get(ADAPTERS, {})).values()
  if adapter and {*adapter} == {FREEZE}:
    raise UserError(
      "tune.rules freeze the whole adapter; give it a label, such as"
      " ('adapters/.*', 'adapter'), or set adapter.name=''."
    )


def _head_first(
  tune: Any, trained: frozenset[str], total_steps: int
) -> tuple[Phase, ...]:
  share = tune.head_first or (_PROBE if tune.preset == "lp_ft" else 0.0)
  start = round(share * total_steps)
  if not start:
    return (Phase(0, trained),)
  if HEAD not in trained or len(trained) == 1:
    raise UserError(
      f"tune.head_first={share} needs the label {HEAD!r} and another"
      f" one to follow, got {sorted(trained)}."
    )
  if start == total_steps:
    raise UserError(
      f"tune.head_first={share} leaves none of the {total_steps}"
      " steps to the rest; lower it."
    )
  return Phase(0, frozenset({HEAD})), Phase(start, trained)


def _gradual(
  tune: Any, labels: Params, total_steps: int, steps_per_epoch: float
) -> tuple[Params, tuple[Phase, ...]]:
  labels, active = unfreeze.gradual(
    labels, tune.unfreeze_blocks, frozenset({HEAD, ADAPTER, ADAPTER_B})
  )
  if tune.unfreeze_patience:
    later = [Phase(None, part) for part in active[1:]]
    return labels, (Phase(0, active[0]), *later)
  every = (
    tune.unfreeze_every_steps or tune.unfreeze_every_epochs * steps_per_epoch
  )
  starts = [round(i * every) for i in range(len(active))]
  if starts[-1] >= total_steps or len(set(starts)) < len(starts):
    raise UserError(
      f"tune.unfreeze: {len(active)} phases of {every:g} steps do not fit into"
      f" the {total_steps} steps of the run; thaw sooner or more blocks at once"
      " (tune.unfreeze_blocks), or train longer."
    )
  return labels, tuple(map(Phase, starts, active))
