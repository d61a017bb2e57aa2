"""Unfreezing as a pure function of the step: which labels are active when.

The state's shape never changes: it holds every leaf that any phase trains, and
a leaf's optimizer moments rest until its label becomes active. Where a phase
waits for a plateau, its start is learnt in the run and part of its record.
"""

import dataclasses

from jft import tree
from jft.errors import UserError
from jft.tuning import depth
from jft.tuning.freeze import FREEZE
from jft.typing import Params, Sequence


@dataclasses.dataclass(frozen=True)
class Phase:
  """From `start_step` on, the leaves under these `labels` are trained.

  None: from the step on at which the phase before comes to a plateau.
  """

  start_step: int | None
  labels: frozenset[str]


def phase_at(phases: Sequence[Phase], step: int) -> int:
  """Returns the index of the phase that update number `step` belongs to.

  Args:
    phases: at least one; the first starts at 0, the starts increase, those
      that are not known yet come last.
    step: completed updates before this one.

  Raises:
    UserError: if the phases are not ordered or do not start at 0.

  >>> head = Phase(0, frozenset({"head"}))
  >>> both = Phase(10, frozenset({"head", "backbone"}))
  >>> [phase_at([head, both], step) for step in (0, 9, 10)]
  [0, 0, 1]
  """
  starts = [phase.start_step for phase in phases]
  known = [start for start in starts if start is not None]
  if (
    known[:1] != [0]
    or known != sorted(set(known))
    or known != starts[: len(known)]
  ):
    raise UserError(
      f"phases must start at step 0 and increase, got starts {starts}."
    )
  return sum(start <= step for start in known) - 1


def begun(phases: Sequence[Phase], starts: Sequence[int]) -> tuple[Phase, ...]:
  """Returns the phases with the starts that a run has learnt.

  Args:
    phases: some of which wait for a plateau.
    starts: of those, in order, as many as are known.

  >>> waiting = [Phase(0, frozenset("a")), Phase(None, frozenset("ab"))]
  >>> [phase.start_step for phase in begun(waiting, [40])]
  [0, 40]
  """
  left = list(starts)
  return tuple(
    dataclasses.replace(phase, start_step=left.pop(0))
    if phase.start_step is None and left
    else phase
    for phase in phases
  )


def gradual(
  labels: Params, blocks: int, first: frozenset[str]
) -> tuple[Params, tuple[frozenset[str], ...]]:
  """Splits the labels by depth, for phases that thaw from the top downwards.

  After the labels `first` come the top `blocks` blocks with what lies above
  them, then the next ones, and with the lowest what lies below the blocks.
  Frozen leaves stay frozen. Where nothing is of `first`, as in a model whose
  head is its embedding, the top blocks begin.

  Args:
    labels: as `freeze.label` returns.
    blocks: how many blocks each further phase thaws.
    first: the labels that are trained from the beginning.

  Returns:
    The labels, those of phase i called `LABEL_i`; and the labels that each
    phase trains, all of those before it among them.

  Raises:
    UserError: if nothing is left to join what begins.

  Source: Howard and Ruder, 2018, "Universal Language Model Fine-tuning for
  Text Classification" (arXiv:1801.06146), section 3.3.

  >>> labels = {"stem": {"w": "b"}, "block_00": {"w": "b"},
  ...           "block_01": {"w": "b"}, "head": {"w": "head"}}
  >>> labels, phases = gradual(labels, 1, frozenset({"head"}))
  >>> labels["block_01"], labels["block_00"], labels["stem"]
  ({'w': 'b_1'}, {'w': 'b_2'}, {'w': 'b_2'})
  >>> [sorted(phase) for phase in phases]
  [['head'], ['b_1', 'head'], ['b_1', 'b_2', 'head']]
  """
  flat = tree.flatten(labels)
  begun = first & {*flat.values()}
  later = [n for n, x in flat.items() if x != FREEZE and x not in first]
  phase_of = _phases(later, blocks)
  made = {
    name: f"{value}_{phase_of[name]}" if name in phase_of else value
    for name, value in flat.items()
  }
  phases = [begun] if begun else []
  for phase in sorted({*phase_of.values()}):
    joined = {made[name] for name, at in phase_of.items() if at <= phase}
    phases.append(frozenset({*begun, *joined}))
  if len(phases) < 2:
    raise UserError(
      "gradual unfreezing needs parts that thaw one after another, got the"
      f" labels {sorted({*flat.values()} - {FREEZE})} in {len(phases)} phase;"
      f" thaw fewer blocks at once (tune.unfreeze_blocks={blocks}), or do"
      " without it."
    )
  return tree.unflatten(made), tuple(phases)


def _phases(names: list[str], blocks: int) -> dict[str, int]:
  """Returns {leaf: phase that it joins in}, from 1."""
  parts = {name: depth.part(name) for name in names}
  order = {
    block: i // blocks + 1
    for i, block in enumerate(reversed(depth.blocks(names)))
  }
  last = max(order.values(), default=1)
  top = dict.fromkeys((depth.ABOVE, depth.HEAD, depth.APART), 1)
  order |= {**top, depth.BELOW: last}
  return {name: order[part] for name, part in parts.items()}
