"""What a model costs, asked of the compiler: FLOPs and memory, no weights.

Everything is lowered from shapes. The counts are those of the program that XLA
made for this machine's device: multiply-adds count twice, a border's zeros do
not count, and what is computed from frozen leaves alone needs no gradient.
"""

import dataclasses
import types

import jax
import jax.numpy as jnp
import optax

from jft import optim, tree
from jft.state import TrainState
from jft.step import make_predict_step, make_train_step
from jft.tasks import LANGUAGE, Task, classification
from jft.tuning import freeze
from jft.typing import Any, ApplyFn, Callable, Mapping, Rules, Variables

# Each program is asked for its costs and never runs.
_CLASSIFICATION = classification()
_OPTIONS: Mapping[str, str | bool] = types.MappingProxyType(
  {"xla_backend_optimization_level": "0"}
)


@dataclasses.dataclass(frozen=True)
class Memory:
  """What a program holds on its device at once, in bytes.

  Attributes:
    use: "inference", "head only" or "full".
    weights: parameters and collections, in their dtype.
    optimizer: AdamW's moments, of the trained parameters alone.
    working: activations, gradients and whatever else the compiler keeps.
    total: the three and the batch.
    flops: of an example; of training, forward, backward and update.
  """

  use: str
  weights: int
  optimizer: int
  working: int
  total: int
  flops: float


@dataclasses.dataclass(frozen=True)
class _Held:
  variables: Variables


def shapes(tree: Any) -> Any:
  """Returns a tree's shapes and dtypes, for arrays or what stands for them."""
  return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), tree)


def device() -> str:
  """Returns whose programs are asked, such as "cpu" or "NVIDIA H100"."""
  return jax.devices()[0].device_kind


def forward_flops(apply: ApplyFn, variables: Variables, inputs: Any) -> float:
  """Returns the FLOPs of one forward pass.

  Args:
    apply: as in `Net`; variables, inputs: arrays or shapes.
  """

  def forward(variables: Variables, inputs: Any) -> Any:
    out = apply(variables, inputs)
    return _result(out)

  return _flops(_compiled(forward, variables, inputs))


def step_flops(
  apply: ApplyFn,
  variables: Variables,
  inputs: Any,
  active: Callable[[str], bool],
) -> float:
  """Returns the FLOPs of a forward pass and the active leaves' gradients.

  Args:
    apply: as in `Net`; variables, inputs: arrays or shapes.
    active: name of a leaf of params -> is it trained?
  """
  live, held = tree.split(variables["params"], active)
  rest = {k: v for k, v in variables.items() if k != "params"}

  # All of it as arguments: what is closed over, XLA would compute beforehand.
  def loss(live, held, rest, inputs):
    out = apply({"params": tree.merge(live, held), **rest}, inputs)
    return _result(out).sum()

  gradient = jax.value_and_grad(loss)
  return _flops(_compiled(gradient, live, held, rest, inputs))


def memory(
  apply: ApplyFn,
  variables: Variables,
  inputs: Any,
  task: Task = _CLASSIFICATION,
) -> list[Memory]:
  """Returns the memory of jft's own steps: inference, head only, full.

  Without a head, inference alone; where the words' embedding is the head of a
  language model, there is no training of a head only.

  Args:
    apply: as in `Net`; variables, inputs: arrays or shapes; inputs hold the
      whole batch.
    task: of the training.
  """
  variables, inputs = shapes(variables), shapes(inputs)
  batch = inputs if isinstance(inputs, dict) else {"image": inputs}
  has_head, lm = "head" in variables["params"], task.name in LANGUAGE
  if lm:
    program = _compiled(_result_of(apply), variables, inputs)
  elif not has_head:
    program = _compiled(lambda v, x: apply(v, x)["features"], variables, inputs)
    return [_measured("inference", program, variables, (), batch)]
  else:
    program = _compiled(make_predict_step(apply, task), variables, batch)
  uses = {"full": freeze.full}
  if has_head:
    uses = {"head only": freeze.linear_probe, **uses}
  return [
    _measured("inference", program, variables, (), batch),
    *(
      _training(use, apply, variables, batch, preset, task)
      for use, preset in uses.items()
    ),
  ]


def _training(
  use: str,
  apply: ApplyFn,
  variables: Variables,
  batch: Mapping[str, Any],
  preset: Callable[[Any], Rules],
  task: Task,
) -> Memory:
  labels = freeze.label(variables["params"], preset(variables["params"]))
  trained = {*tree.flatten(labels).values()} - {freeze.FREEZE}
  tx = optim.by_label(dict.fromkeys(trained, optax.adamw(1e-3)), labels)

  def create(variables: Variables) -> TrainState:
    return TrainState.create(_Held(variables), labels, tx)

  state = jax.eval_shape(create, variables)
  size = _batch_size(batch)
  asked = batch["input_ids"].shape if task.name in LANGUAGE else (size,)
  batch = {
    **batch,
    "label": jax.ShapeDtypeStruct(asked, jnp.int32),
    "mask": jax.ShapeDtypeStruct((size,), jnp.float32),
  }
  step = make_train_step(apply, task, tx)
  program = _compiled(step, state, batch, donate_argnums=0)
  return _measured(use, program, state.variables, state.opt_state, batch)


def _measured(
  use: str, program: Any, variables: Any, optimizer: Any, batch: Any
) -> Memory:
  found = program.memory_analysis()
  total = (
    found.argument_size_in_bytes
    + found.temp_size_in_bytes
    + found.output_size_in_bytes
    - found.alias_size_in_bytes
  )
  return Memory(
    use,
    tree.nbytes(variables),
    tree.nbytes(optimizer),
    total - found.argument_size_in_bytes,
    total,
    _flops(program) / _batch_size(batch),
  )


def _batch_size(batch: Mapping[str, Any]) -> int:
  return next(iter(batch.values())).shape[0]


def _result_of(apply: ApplyFn) -> Callable[[Variables, Any], Any]:
  return lambda variables, inputs: _result(apply(variables, inputs))


def _result(out: Any) -> Any:
  return out["logits"] if "logits" in out else out["features"]


def _flops(program: Any) -> float:
  costs = program.cost_analysis() or {}
  return float(costs.get("flops", float("nan")))


def _compiled(fn: Callable[..., Any], *args: Any, **options: Any) -> Any:
  lowered = jax.jit(fn, **options).lower(*args)
  return lowered.compile(compiler_options=dict(_OPTIONS))
