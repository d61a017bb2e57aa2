"""Does the gradient reach every trained leaf, and leave the others alone?

The run's own step is run with an optimizer that keeps the gradients and moves
nothing, so a learning rate of 0 in a warm-up's first step hides nothing.
"""

import dataclasses
import re

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jft import rng, tree
from jft.build import Run
from jft.build.told import when
from jft.preflight.finding import Finding, some
from jft.state import TrainState
from jft.typing import Any, Batch, Mapping, Sequence

FAINT = 4 * float(np.finfo(np.float32).eps)
"""A leaf whose gradient is this small beside the median leaf's: what rounding
leaves where there is none. A new LayerScale lets 1e-6 through, or more."""
SHIFTLESS = r"(.*/)?key/bias"
"""Softmax ignores a shift of all scores, so a key's bias has no gradient."""
_NOISE = 0.02
_COUNT = 8


def check(run: Run, batch: Batch) -> list[Finding]:
  """Checks every phase of the run on one training batch.

  Args:
    run: as built; its state is left as it is.
    batch: from `run.splits.train`.
  """
  return [
    finding
    for phase in range(len(run.tuning.phases))
    for finding in _phase(run, phase, batch)
  ]


def gradients(run: Run, phase: int, state: TrainState, batch: Batch):
  """Returns {leaf: gradient} of the leaves that a phase trains."""
  step = run.make_step(phase, _keep())
  zeros = jax.tree.map(jnp.zeros_like, state.params)
  state = dataclasses.replace(own(state), opt_state=zeros)
  done, _ = step(step.replicate(state), batch)
  live = trained(run, phase)
  return {
    name: np.asarray(grad, np.float32)
    for name, grad in tree.flatten(jax.device_get(done.opt_state)).items()
    if name in live
  }


def own(state: TrainState) -> TrainState:
  """Returns the state with buffers of its own: a step donates them."""
  return jax.tree.map(jnp.copy, state)


def trained(run: Run, phase: int) -> set[str]:
  """Returns the names of the leaves that a phase trains."""
  active = run.tuning.phases[phase].labels
  labels = tree.flatten(run.tuning.labels)
  return {name for name, label in labels.items() if label in active}


def judge(
  first: Mapping[str, np.ndarray], nearby: Mapping[str, np.ndarray] | None
) -> list[Finding]:
  """Judges the gradients of the leaves that are trained.

  Args:
    first: {leaf: gradient}.
    nearby: the same with every trained leaf a little moved, if one in `first`
      is 0: what a later layer that starts at zero holds back comes through.
  """
  broken = [n for n, g in first.items() if not np.isfinite(g).all()]
  if broken:
    return [_not_finite(broken)]
  zero = [n for n, g in first.items() if not g.any() and not _shiftless(n)]
  late = [n for n in zero if nearby is not None and nearby[n].any()]
  dead = [n for n in zero if n not in late]
  size = {n: float(np.sqrt(np.mean(np.square(g)))) for n, g in first.items()}
  usual = float(np.median([s for s in size.values() if s] or [0.0]))
  faint = [
    n for n, s in size.items() if 0 < s < FAINT * usual and not _shiftless(n)
  ]
  found = []
  if dead:
    found.append(_dead(dead, len(first)))
  if late:
    found.append(_late(late))
  if faint:
    found.append(_faint(faint, size, usual))
  return found


def moved(
  before: Mapping[str, Any], after: Mapping[str, Any], names: Sequence[str]
) -> list[str]:
  """Returns which of these leaves differ in any bit."""
  return [
    name
    for name in names
    if np.asarray(before[name]).tobytes() != np.asarray(after[name]).tobytes()
  ]


def _phase(run: Run, phase: int, batch: Batch) -> list[Finding]:
  first = gradients(run, phase, run.state, batch)
  zero = [n for n, g in first.items() if not g.any()]
  nearby = None
  if zero:
    nearby = gradients(run, phase, _shaken(run.state), batch)
  found = judge(first, nearby) + _still(run, phase, batch)
  if not found:
    fixed = tree.flatten(run.state.variables["params"]).keys() - first.keys()
    found = [
      Finding(
        "gradient",
        "ok",
        f"reaches all {len(first)} trained leaves"
        + (
          f"; the {len(fixed)} frozen ones stay as they are, bit for bit."
          if fixed
          else "; none is frozen."
        ),
      )
    ]
  if len(run.tuning.phases) == 1:
    return found
  start = when(run.tuning.phases[phase])
  return [
    dataclasses.replace(f, message=f"from {start}: {f.message}") for f in found
  ]


def _still(run: Run, phase: int, batch: Batch) -> list[Finding]:
  """One real update: the leaves that are not trained must not move."""
  step, live = run.steps[phase], trained(run, phase)
  done, _ = step(step.replicate(own(run.state)), batch)
  before = tree.flatten(jax.device_get(run.state.variables))
  after = tree.flatten(jax.device_get(done.variables))
  live = {f"params/{name}" for name in live}
  # Statistics may move where anything of their module is trained.
  modules = {name.split("/", 1)[1].rpartition("/")[0] for name in live}
  fixed = [
    name
    for name in before
    if name not in live
    and (
      name.startswith("params/")
      or (
        run.tuning.batch_norm != "update"
        and name.split("/", 1)[1].rpartition("/")[0] not in modules
      )
    )
  ]
  drifted = moved(before, after, fixed)
  if not drifted:
    return []
  return [
    Finding(
      "gradient",
      "error",
      f"{len(drifted)} frozen leaves moved in one update:"
      f" {some(drifted, _COUNT)}. The model changes them itself, or the"
      " optimizer does: see tune.rules.",
      {"moved": drifted},
    )
  ]


def _keep() -> optax.GradientTransformation:
  """Moves nothing; its state is the last gradient."""

  def update(updates: Any, state: Any, params: Any = None):
    return jax.tree.map(jnp.zeros_like, updates), updates

  return optax.GradientTransformation(lambda params: params, update)


def _shaken(state: TrainState) -> TrainState:
  draw = rng.generator(0, "preflight")
  params = jax.tree.map(
    lambda x: x + jnp.asarray(draw.normal(0, _NOISE, x.shape), x.dtype),
    state.params,
  )
  return dataclasses.replace(state, params=params)


def _shiftless(name: str) -> bool:
  return re.fullmatch(SHIFTLESS, name) is not None


def _not_finite(names: list[str]) -> Finding:
  return Finding(
    "gradient",
    "error",
    f"the gradient of {len(names)} trained leaves is NaN or infinite on the"
    f" first batch: {some(names, _COUNT)}. Look for such values in the weights"
    " and inputs, and try model.dtype=float32.",
    {"not_finite": names},
  )


def _dead(names: list[str], count: int) -> Finding:
  return Finding(
    "gradient",
    "error",
    f"{len(names)} of {count} trained leaves get no gradient at all:"
    f" {some(names, _COUNT)}. The loss does not depend on them (a part the"
    " model does not use, or a detached one): freeze them by tune.rules, or"
    " mend the model.",
    {"zero": names},
  )


def _late(names: list[str]) -> Finding:
  return Finding(
    "gradient",
    "note",
    f"{len(names)} trained leaves get no gradient in the first update, since a"
    f" later layer starts at zero: {some(names, _COUNT)}. They do once it"
    " moves.",
    {"zero_at_start": names},
  )


def _faint(
  names: list[str], size: Mapping[str, float], usual: float
) -> Finding:
  return Finding(
    "gradient",
    "warning",
    f"{len(names)} trained leaves get next to no gradient (below"
    f" {FAINT:.1g} of the median leaf's): {some(names, _COUNT)}. They will"
    " hardly learn: freeze them, or see what stands between them and the loss"
    " (a bias right before a normalisation is taken away by it).",
    {"faint": {name: size[name] for name in names}, "median": usual},
  )
