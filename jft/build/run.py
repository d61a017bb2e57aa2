"""Config -> Run: everything the loop needs, built and checked."""

import contextlib
import dataclasses
import functools
from collections.abc import Generator

import jax
import optax

from jft import parallel, tasks
from jft.augment import Augment
from jft.build import augment as augments
from jft.build.batch_norm import make_recalibrate
from jft.build.check import check
from jft.build.data import Splits, make_sources, make_splits
from jft.build.facts import facts
from jft.build.lengths import eval_every, resolved, total_steps
from jft.build.model import load_net
from jft.build.optimizers import make_average
from jft.build.surgical import Choice, choose
from jft.build.task import make_task
from jft.build.told import answers, told
from jft.build.tuning import Tuning, make_tuning
from jft.guard import Guard
from jft.net import Net
from jft.parallel import Mapped
from jft.state import TrainState
from jft.step import Hooks, make_eval_step, make_train_step
from jft.tuning import freeze
from jft.tuning.unfreeze import phase_at
from jft.typing import Any, Batch, Callable, Mapping


@dataclasses.dataclass(frozen=True)
class Stop:
  """When to stop early; see the config's section "stop"."""

  metric: str
  mode: str
  patience: int


@dataclasses.dataclass(frozen=True)
class Run:
  """A config made real.

  Attributes:
    net: the network as loaded.
    task: its loss and metrics.
    tuning: what is trained, when, at which rate.
    state: the first state, or the shape of a restored one.
    steps: the compiled step of each phase.
    make_step: (phase, optimizer) -> that phase's step with another optimizer;
      `augmented=False` leaves the augmentation out.
    thawed: (starts of phases that waited for a plateau) -> the step of the last
      of them.
    recalibrated: state -> the state to evaluate (see `tune.batch_norm`).
    augment: (key, batch) -> batch, inside of the steps; None: none.
    eval_step: (variables, batch) -> a row an example.
    splits: the sources and batches.
    total_steps, eval_every, log_every: in updates.
    eval_at_start: whether to evaluate before the first one.
    unfreeze_patience: evaluations without a better one that end a phase.
    stop, guard, lr_cut, max_retries: as the config says; no guard: None.
    facts: what `run.json` says of model, data and what is trained.
  """

  net: Net
  task: tasks.Task
  tuning: Tuning
  state: TrainState
  steps: tuple[Mapped, ...]
  make_step: Callable[..., Mapped]
  thawed: Callable[[tuple[int, ...]], Mapped]
  recalibrated: Callable[[TrainState], TrainState]
  augment: Augment | None
  eval_step: Callable[..., Any]
  splits: Splits
  total_steps: int
  eval_every: int
  log_every: int
  eval_at_start: bool
  unfreeze_patience: int
  stop: Stop
  guard: Guard | None
  lr_cut: float
  max_retries: int
  facts: Mapping[str, Any]

  @property
  def batch_size(self) -> int:
    """Global batch size in training."""
    return self.splits.train.batch_size

  @property
  def evals(self) -> Mapping[str, Any]:
    """{"val": batches, "test": batches} of the held-out splits."""
    return self.splits.evals

  @property
  def label_names(self) -> tuple[str, ...]:
    """The class names, in index order."""
    return self.splits.label_names

  def describe(self) -> list[str]:
    """What is about to happen, in a few lines for a person."""
    spec, model = self.net.spec, self.facts["model"]
    counts = ", ".join(
      f"{n} {status}" for status, n in self.net.report.counts().items()
    )
    sizes = ", ".join(
      f"{part['examples']:,} {split}"
      for split, part in self.facts["data"].items()
    )
    rows = [freeze.Row(**row) for row in self.facts["freeze"]]
    return [
      f"model  {spec.source or 'random weights'}"
      f" ({spec.preset or spec.family}, {model['params']:,} parameters;"
      f" tensors: {counts})",
      f"data   {sizes}; {answers(self.task, self.splits, self.facts)}",
      freeze.format_table(rows),
      *told(self.tuning, self.facts),
    ]

  def step_at(self, step: int) -> Mapped:
    """The compiled step for the update after `step` completed ones."""
    return self.steps[phase_at(self.tuning.phases, step)]

  def begun(self, starts: tuple[int, ...]) -> "Run":
    """The run with the starts of phases that waited for a plateau.

    A phase's step is made once for equal starts of it and those before it.

    Raises:
      UserError: if too few steps are left for the schedule of the last one.
    """
    if not starts:
      return self
    known = len(self.steps) - self.tuning.waiting
    made = (self.thawed(starts[: i + 1]) for i in range(len(starts)))
    steps = (*self.steps[:known], *made, *self.steps[known + len(starts) :])
    return dataclasses.replace(
      self, tuning=self.tuning.begun(starts), steps=steps
    )

  def lr_at(self, step: int) -> dict[str, float]:
    """The learning rates of the update after `step` completed ones."""
    return self.tuning.lr_at(step)

  def train_batches(
    self, start: int, until: int, offset: int
  ) -> Generator[Batch, None, None]:
    """The batches of the updates `start` to `until`, placed on the devices."""
    batches = self.splits.train.skip(offset).from_step(start, until)
    with contextlib.closing(batches):
      for batch in batches:
        yield self.steps[0].place(batch)


def build(config: Any, *, choice: Choice | None = None) -> Run:
  """Checks a config, loads its model and data and builds every function.

  Args:
    config: as `jft.config.load` returns it.
    choice: of "surgical" that is on record; None chooses.

  Raises:
    UserError: for a contradiction (before anything is loaded), or for what
      loading finds.
  """
  check(config)
  sources = make_sources(config)
  network = load_net(
    config, sources["train"].label_names or (), sources["train"]
  )
  splits = make_splits(config, sources, network.spec)
  per_epoch = splits.train.num_examples / config.train.batch_size
  total = total_steps(config, splits.train.num_examples)
  recalibrated = make_recalibrate(config.tune, network, splits)
  task = make_task(config, splits.label_names, splits.sources["train"], network)
  choice = choice or choose(config, network, task, splits)
  tuning, state = make_state(config, network, total, per_epoch, choice)
  hooks = _hooks(config, network, task, splits, tuning, total)
  make_step = functools.partial(_step, config, network, task, tuning, hooks)
  return Run(
    net=network,
    task=task,
    tuning=tuning,
    state=state,
    steps=tuple(make_step(i, tuning.tx(i)) for i in range(len(tuning.phases))),
    make_step=make_step,
    thawed=functools.cache(functools.partial(_thawed, make_step, tuning)),
    recalibrated=recalibrated,
    augment=hooks.augment,
    eval_step=jax.jit(
      make_eval_step(augments.evaluated(config, network), task)
    ),
    splits=splits,
    total_steps=total,
    eval_every=eval_every(config, per_epoch, total),
    log_every=config.log.every_steps,
    eval_at_start=config.eval.at_start,
    unfreeze_patience=config.tune.unfreeze_patience,
    stop=Stop(config.stop.metric, config.stop.mode, config.stop.patience),
    guard=_guard(config.guard),
    lr_cut=config.guard.lr_cut,
    max_retries=config.guard.max_retries,
    facts={
      **facts(config, network, tuning, splits, choice),
      "resolved": resolved(config, per_epoch, total),
    },
  )


def _hooks(
  config: Any,
  network: Net,
  task: tasks.Task,
  splits: Splits,
  tuning: Tuning,
  total: int,
) -> Hooks:
  augment = augments.make_augment(
    config, network.spec, task, splits.label_names, splits.tokenizer
  )
  average = make_average(config, total)
  return Hooks(augment, average, tuning.batch_norm, config.optim.sam_rho)


def make_state(
  config: Any,
  network: Net,
  total: int,
  per_epoch: float,
  choice: Choice | None = None,
) -> tuple[Tuning, TrainState]:
  """Returns what is trained in `total` updates, and the first state."""
  tuning = make_tuning(
    config,
    network.params,
    total,
    steps_per_epoch=per_epoch,
    chosen=choice.parts if choice else (),
  )
  state = TrainState.create(
    network,
    tuning.labels,
    tuning.tx(0),
    seed=config.seed,
    averaged=make_average(config, total) is not None,
  )
  return tuning, state


def _guard(c: Any) -> Guard | None:
  return Guard(threshold=c.threshold) if c.enabled else None


def _step(
  config: Any,
  network: Net,
  task: tasks.Task,
  tuning: Tuning,
  hooks: Hooks,
  phase: int,
  tx: optax.GradientTransformation,
  *,
  augmented: bool = True,
) -> Mapped:
  devices = jax.devices()[: config.train.devices or None]
  mapper = {"pmap": parallel.pmap, "jit": parallel.jit}[config.train.parallel]
  step = make_train_step(
    network.apply,
    task,
    tx,
    active=freeze.is_trained(tuning.labels, tuning.phases[phase].labels),
    accumulate=config.train.accumulate,
    hooks=hooks if augmented else dataclasses.replace(hooks, augment=None),
  )
  return mapper(step, parallel.data_mesh(devices))


def _thawed(
  make_step: Callable[[int, optax.GradientTransformation], Mapped],
  tuning: Tuning,
  starts: tuple[int, ...],
) -> Mapped:
  phase = len(tuning.phases) - tuning.waiting + len(starts) - 1
  return make_step(phase, tuning.begun(starts).tx(phase))
