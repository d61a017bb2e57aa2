"""Runs averaged to one network: soups of several, a line to the source of one.

What is made is a folder as a run leaves it, so that `jft evaluate`, `predict`
and `export` read it. Validation data chooses; a test split is measured once,
at the end.
"""

import dataclasses
import functools
import pathlib

from jft import (
  atomic,
  curves,
  digests,
  evaluation,
  finish,
  leaves,
  pictures,
  report,
  restored,
  tree,
  workdir,
)
from jft.build import Run
from jft.errors import UserError
from jft.session import checkpointer
from jft.state import TrainState
from jft.tuning import interpolate
from jft.typing import Any, Callable, Mapping, Sequence, Variables
from jft.writers import MetricsWriter, to_json, write_json


@dataclasses.dataclass(frozen=True)
class Kitchen:
  """The first run, opened: it measures whatever variables it is given.

  Attributes:
    folder: of the run.
    config, run: its config, built.
    state: its best one.
  """

  folder: pathlib.Path
  config: Any
  run: Run
  state: TrainState

  @classmethod
  def of(cls, folder: str | pathlib.Path) -> "Kitchen":
    """Opens a run.

    Raises:
      UserError: if there is none, or it has an adapter beside its weights.
    """
    config, run, state = restored.best(folder)
    _refuse_adapter(folder, config)
    return cls(pathlib.Path(folder), config, run, state)

  def holding(self, variables: Variables) -> TrainState:
    """Returns the state with other variables, as it is to be evaluated."""
    params, frozen = tree.split(
      variables["params"], tree.flatten(self.state.params).__contains__
    )
    held = dataclasses.replace(
      self.state,
      params=params,
      frozen=frozen,
      average=params if self.state.average else {},
      model_state={k: variables[k] for k in self.state.model_state},
    )
    return self.run.recalibrated(held)

  def measure(self, variables: Variables) -> dict[str, float]:
    """Returns {"val/METRIC": number} of these variables."""
    seen = evaluation.predict(
      self.run.eval_step,
      self.holding(variables).eval_variables,
      self.run.evals["val"],
    )
    found = evaluation.measure(self.run.task, seen)
    return {f"val/{name}": value for name, value in found.items()}

  @property
  def metric(self) -> str:
    """What is best is decided by it."""
    return self.run.stop.metric

  @property
  def higher(self) -> bool:
    """Whether more of it is better."""
    return self.run.stop.mode == "max"


def soup(
  workdirs: Sequence[str | pathlib.Path],
  out: str | pathlib.Path,
  *,
  uniform: bool = False,
  command: Sequence[str] = (),
) -> dict[str, Any]:
  """Averages the best weights of several runs, evaluated as the first is.

  They must have started from the same weights, and have held out the same
  validation and test examples (`data.split_seed`). BatchNorm's statistics are
  averaged too, or computed anew under `tune.batch_norm="recalibrate"`.

  Args:
    workdirs: at least two runs.
    out: the folder to make.
    uniform: take all; else greedily those that do not make it worse.
    command: what the user typed, for the record.

  Returns:
    The contents of `summary.json`; under "soup" each run alone, and the soup
    with it.

  Raises:
    UserError: for runs that do not go together, or a folder that is there.

  Source: Wortsman et al., 2022, "Model soups" (arXiv:2203.05482).
  """
  _refuse_taken(out)
  if len({pathlib.Path(w).resolve() for w in workdirs}) < max(2, len(workdirs)):
    raise UserError(f"a soup is of two runs or more, got {list(workdirs)}.")
  kitchen = Kitchen.of(workdirs[0])
  load = functools.partial(_ingredient, kitchen, workdirs)
  alone = [kitchen.measure(load(i)) for i in range(len(workdirs))]
  order = _best_first([row[kitchen.metric] for row in alone], kitchen.higher)
  if uniform:
    mixed, kept = interpolate.mean(map(load, order)), set(order)
    tried = {}
  else:
    mixed, rows = interpolate.greedy(
      order,
      load,
      lambda found: kitchen.measure(found)[kitchen.metric],
      higher=kitchen.higher,
    )
    kept = {row.index for row in rows if row.kept}
    tried = {row.index: row.score for row in rows}
  table = [
    {
      "run": str(workdirs[i]),
      "alone": alone[i][kitchen.metric],
      "with": tried.get(i),
      "kept": i in kept,
    }
    for i in order
  ]
  return _write(
    kitchen, out, mixed, {"soup": {"uniform": uniform, "runs": table}}, command
  )


def _best_first(scores: Sequence[float], higher: bool) -> list[int]:
  return sorted(range(len(scores)), key=scores.__getitem__, reverse=higher)


def wise(
  folder: str | pathlib.Path,
  out: str | pathlib.Path,
  *,
  points: int = 11,
  alpha: float | None = None,
  command: Sequence[str] = (),
) -> dict[str, Any]:
  """Mixes a run's best weights with those that it started from (WiSE-FT).

  What was new at the start, such as a head, stays as it was trained.

  Args:
    folder: of the run.
    out: the folder to make.
    points: shares of the tuned weights to try, evenly from 0 to 1.
    alpha: the share to take; None takes the best on validation data, of equals
      the largest.
    command: what the user typed, for the record.

  Returns:
    The contents of `summary.json`; under "wise" the curve.

  Raises:
    UserError: for a run that has nothing pretrained, or a folder that is there.

  Source: Wortsman et al., 2022, "Robust fine-tuning of zero-shot models"
    (arXiv:2109.01903).
  """
  _refuse_taken(out)
  if points < 2 or not 0 <= (alpha or 0.0) <= 1:
    raise UserError(
      f"wise(points={points}, alpha={alpha}): at least 2 points, and a share"
      " from 0 to 1."
    )
  kitchen = Kitchen.of(folder)
  mix = _line(kitchen)
  shares = {i / (points - 1) for i in range(points)}
  curve = [
    {"alpha": share, **kitchen.measure(mix(share))}
    for share in sorted(shares | ({alpha} if alpha is not None else set()))
  ]
  if alpha is None:
    sign = 1 if kitchen.higher else -1
    best = max(curve, key=lambda p: (sign * p[kitchen.metric], p["alpha"]))
    alpha = float(best["alpha"])
  made = {"wise": {"run": str(folder), "alpha": alpha, "curve": curve}}
  return _write(kitchen, out, mix(alpha), made, command)


def _line(kitchen: Kitchen) -> Callable[[float], Variables]:
  """Returns share -> the variables there."""
  tuned, start = kitchen.state.eval_variables, kitchen.run.net.variables
  fresh = {r.name for r in kitchen.run.net.report if r.status == "reinit"}
  flat, ends = tree.flatten(start), tree.flatten(tuned)
  if fresh >= flat.keys():
    raise UserError(
      f"{kitchen.folder} started from random weights: there is no pretrained"
      " end to interpolate to."
    )
  begins = {name: ends[name] if name in fresh else flat[name] for name in ends}
  return functools.partial(interpolate.between, tree.unflatten(begins), tuned)


def _ingredient(
  kitchen: Kitchen, workdirs: Sequence[str | pathlib.Path], index: int
) -> Variables:
  """Opens a run's best variables; only those that fit the first's."""
  first, folder = kitchen.state.eval_variables, workdirs[index]
  if index == 0:
    return first
  a, b = (workdir.saved_facts(pathlib.Path(w)) for w in (workdirs[0], folder))
  _refuse_other(workdirs[0], a, folder, b)
  config, _, _, state = restored.best_model(folder)
  _refuse_adapter(folder, config)
  found = state.eval_variables
  described = leaves.describe(found), leaves.describe(first)
  if differs := leaves.difference(*described):
    raise UserError(f"{folder} does not fit {workdirs[0]}: {differs}")
  return found


def _refuse_other(one: Any, a: Any, other: Any, b: Any) -> None:
  """Runs of other classes, examples or sources are no ingredients."""
  for what, get in {
    "class names": lambda facts: facts["model"]["label_names"],
    "pretrained weights": lambda facts: facts["model"]["sha256"],
    "metric": lambda facts: facts["config"]["stop"]["metric"],
    "validation examples": lambda facts: facts["data"]["val"]["sha256"],
    "test examples": lambda facts: facts["data"].get("test", {}).get("sha256"),
  }.items():
    if get(a) != get(b):
      raise UserError(
        f"{other} has other {what} than {one}. A soup is of runs that started"
        " from the same weights and hold out the same examples: runs of other"
        " seeds need one data.split_seed."
      )


def _refuse_adapter(folder: str | pathlib.Path, config: Any) -> None:
  if config.adapter.name:
    raise UserError(
      f"{folder} trained an adapter ({config.adapter.name}): the mean of two"
      " factors is not the mean of their products. Combine adapters with"
      " jft.adapters.weighted."
    )


def _refuse_taken(out: str | pathlib.Path) -> None:
  out = pathlib.Path(out)
  if out.exists() and not (out.is_dir() and not any(out.iterdir())):
    raise UserError(f"--workdir={out} is there already: give a new folder.")


def _write(
  kitchen: Kitchen,
  out: str | pathlib.Path,
  variables: Variables,
  made: Mapping[str, Any],
  command: Sequence[str],
) -> dict[str, Any]:
  """Measures what was made on all held-out splits and writes the folder."""
  state, step = kitchen.holding(variables), int(kitchen.state.step)
  metrics, details = finish.held_out(kitchen.run, state)
  summary = to_json(
    {
      "status": next(iter(made)),
      "step": step,
      "best_step": step,
      "best_sha256": digests.sha256(state.eval_variables),
      "metrics": metrics,
      "before": {},
      "params_trainable": tree.count(state.params),
      "params_total": tree.count(state.params) + tree.count(state.frozen),
      "incidents": [],
      "damaged_checkpoints": [],
      "report": details,
      **made,
    }
  )
  facts = workdir.saved_facts(kitchen.folder)
  with atomic.new_folder(out) as partial:
    write_json(
      partial / "run.json",
      {**facts, workdir.MADE: dict(made), "command": list(command)},
    )
    held = {k: v for k, v in metrics.items() if k.startswith("val/")}
    with MetricsWriter(partial, tensorboard=False) as writer:
      writer.write(step, 0, held)
    with checkpointer(kitchen.config, partial) as ckpt:
      ckpt.save(state, metrics=held)
    write_json(partial / "summary.json", summary)
    if "wise" in made:
      drawn = curves.line(made["wise"]["curve"], "alpha", kitchen.metric)
      atomic.write_bytes(partial / "wise.png", pictures.png(drawn))
    curves.draw(partial)
    report.render(partial)
  return summary
