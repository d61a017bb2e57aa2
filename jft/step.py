"""The train and eval steps: one pure function each, wherever they run."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import optax

from jft import blame, rng, tree
from jft.state import TrainState
from jft.tasks import Task, model_inputs
from jft.tuning import frozen_norm
from jft.typing import (
  Any,
  ApplyFn,
  Array,
  Batch,
  Callable,
  Float,
  Key,
  Params,
  Variables,
)

Metrics = dict[str, Array]


@dataclasses.dataclass(frozen=True)
class Hooks:
  """What a train step does beside the gradient and the update.

  Attributes:
    augment: (key of the step, batch) -> the batch that is trained on, with as
      many rows. The key is the same on all devices.
    average: (average, params, opt_state, completed updates) -> the average that
      `state.average` holds after the update.
    batch_norm: "auto" runs a BatchNorm that is frozen whole in inference mode,
      "frozen" every one, "update" none.
    sam_rho: above 0, the gradient is that of the worst place at this distance
      from the weights, over all active leaves together (twice the compute).
      Source: Foret et al., 2021 (arXiv:2010.01412), without its batch parts.
  """

  augment: Callable[[Key, Batch], Batch] | None = None
  average: Callable[[Params, Params, Any, Array], Params] | None = None
  batch_norm: str = "auto"
  sam_rho: float = 0.0


_NONE = Hooks()


def make_train_step(
  apply: ApplyFn,
  task: Task,
  tx: optax.GradientTransformation,
  *,
  active: Callable[[str], bool] = lambda name: True,
  accumulate: int = 1,
  hooks: Hooks = _NONE,
) -> Callable[..., tuple[TrainState, Metrics]]:
  """Returns step(state, batch, *, axis_name=None) -> (state, metrics).

  Only the active leaves of `state.params` are differentiated. The loss is the
  mean over the examples that `batch["mask"]` keeps, on all devices together,
  each counting as much as the task says.

  Args:
    apply: (variables, inputs, *, train, rngs, mutable, axis_name) -> (outputs,
      collections).
    task: loss and metrics per example.
    tx: optimizer over `state.params`, made for the same active leaves.
    active: name -> is this trainable leaf updated?
    accumulate: parts the batch is cut into, run one after another to save
      memory. The update is the whole batch's, except that a BatchNorm in train
      mode normalises each part by its own statistics.
    hooks: what else it does.
  """

  def step(state: TrainState, batch: Batch, *, axis_name: str | None = None):
    live, held = tree.split(state.params, active)
    fixed = tree.merge(state.frozen, held)
    still = frozen_norm.still(hooks.batch_norm, live, fixed)
    batch = _augmented(hooks, state, batch)
    totals = _totals(task, batch, axis_name)
    loss_fn = _make_loss(apply, task, fixed, still, totals, axis_name)
    gradients = functools.partial(
      _gradients,
      jax.grad(loss_fn, has_aux=True),
      model_state=state.model_state,
      batch=batch,
      key=_device_key(state, axis_name),
      parts=accumulate,
      axis_name=axis_name,
    )
    grads, metrics, model_state = gradients(live)
    if hooks.sam_rho:
      # Metrics and statistics stay those of the weights themselves.
      grads = gradients(_uphill(live, grads, hooks.sam_rho))[0]
    params, opt_state = _update(state, tx, grads, live, held)
    norm = optax.tree.norm(grads)
    blamed = blame.bad_leaf(metrics["loss"], norm, state.params, grads)
    state = dataclasses.replace(
      state, step=state.step + 1, params=params, opt_state=opt_state
    )
    state = dataclasses.replace(state, model_state=model_state)
    metrics |= {"grad_norm": norm, "bad_leaf": blamed}
    return _averaged(hooks, state), metrics

  return step


def make_eval_step(
  apply: ApplyFn, task: Task
) -> Callable[[Variables, Batch], dict[str, Any]]:
  """Returns step(variables, batch) -> what evaluation keeps of each example.

  That is {"values": {"loss": Float["b"], metric: Float["b"]}, "weight":
  Float["b"], "outputs": what the task keeps}. Of padded examples it means
  nothing; their weight is 0.
  """

  def step(variables: Variables, batch: Batch) -> dict[str, Any]:
    outputs = apply(variables, model_inputs(batch), train=False)
    return {
      "values": per_example(task, outputs, batch),
      "weight": task.weights(batch),
      "outputs": task.kept(outputs),
    }

  return step


def make_predict_step(
  apply: ApplyFn, task: Task
) -> Callable[[Variables, Batch], dict[str, Any]]:
  """Returns the same without what needs labels: {"outputs": ...}."""

  def step(variables: Variables, batch: Batch) -> dict[str, Any]:
    return {"outputs": task.kept(apply(variables, model_inputs(batch)))}

  return step


def per_example(
  task: Task, outputs: Any, batch: Batch
) -> dict[str, Float[Array, "b"]]:
  """Returns {"loss": ..., metric: ...}, one number an example."""
  values = {name: fn(outputs, batch) for name, fn in task.metrics.items()}
  return {"loss": task.loss(outputs, batch), **values}


def _totals(
  task: Task, batch: Batch, axis_name: str | None
) -> tuple[Array, Array]:
  """Returns the weights' sums over all devices: of the loss, of the metrics."""
  sums = task.loss_weights(batch).sum(), task.weights(batch).sum()
  loss, metrics = _all_sum(sums, axis_name)
  # A batch may hold nothing that is supervised.
  if task.importance is None:
    return jnp.maximum(loss, 1), jnp.maximum(metrics, 1)
  return jnp.where(loss > 0, loss, 1), jnp.maximum(metrics, 1)


def _make_loss(
  apply: ApplyFn,
  task: Task,
  fixed: Params,
  still: frozenset[str],
  totals: tuple[Array, Array],
  axis_name: str | None,
):
  """Returns loss(live, model_state, part, key) -> (this part's share, aux)."""
  of_loss, of_metrics = totals
  minimised = task.minimised
  if task.across:
    minimised = functools.partial(minimised, axis_name=axis_name)

  def loss_fn(live: Params, model_state: Variables, part: Batch, key: Array):
    variables = {"params": tree.merge(live, fixed), **model_state}
    with frozen_norm.inference_mode(still):
      outputs, model_state = apply(
        variables,
        model_inputs(part),
        train=True,
        rngs={"dropout": key},
        mutable=list(model_state),
        axis_name=axis_name,
      )
    weights = task.weights(part)
    sums = {
      name: jnp.sum(fn(outputs, part) * weights) / of_metrics
      for name, fn in task.metrics.items()
    }
    losses = minimised(outputs, part) * task.loss_weights(part)
    loss = jnp.sum(losses) / of_loss
    return loss, ({"loss": loss, **sums}, model_state)

  return loss_fn


def _all_sum(values: Any, axis_name: str | None) -> Any:
  return jax.lax.psum(values, axis_name) if axis_name else values


def _device_key(state: TrainState, axis_name: str | None) -> Array:
  key = rng.at(state.key, state.step, state.attempt)
  index = jax.lax.axis_index(axis_name) if axis_name else 0
  return jax.random.fold_in(key, index)


def _gradients(
  grad_fn, live, *, model_state, batch: Batch, key: Array, parts: int, axis_name
):
  """Returns gradients and metrics, summed over all devices, and statistics."""
  carried = live, model_state
  *sums, model_state = _accumulate(grad_fn, carried, batch, key, parts)
  return *_all_sum(sums, axis_name), model_state


def _accumulate(grad_fn, carried, batch: Batch, key: Array, parts: int):
  """Sums gradients and metrics over `parts` slices of the batch."""
  live, model_state = carried
  if parts == 1:
    grads, (metrics, model_state) = grad_fn(live, model_state, batch, key)
    return grads, metrics, model_state

  def body(carry, xs):
    model_state, sums = carry
    index, part = xs
    grads, (metrics, model_state) = grad_fn(
      live, model_state, part, jax.random.fold_in(key, index)
    )
    return (model_state, jax.tree.map(jnp.add, sums, (grads, metrics))), None

  sliced = jax.tree.map(
    lambda x: x.reshape(parts, x.shape[0] // parts, *x.shape[1:]), batch
  )
  first = jax.tree.map(lambda x: x[0], sliced)
  shapes = jax.eval_shape(grad_fn, live, model_state, first, key)
  zeros = jax.tree.map(
    lambda x: jnp.zeros(x.shape, x.dtype), (shapes[0], shapes[1][0])
  )
  (model_state, (grads, metrics)), _ = jax.lax.scan(
    body, (model_state, zeros), (jnp.arange(parts), sliced)
  )
  return grads, metrics, model_state


def _augmented(hooks: Hooks, state: TrainState, batch: Batch) -> Batch:
  if hooks.augment is None:
    return batch
  stream = rng.substream(state.key, "augment")
  return hooks.augment(rng.at(stream, state.step, state.attempt), batch)


def _averaged(hooks: Hooks, state: TrainState) -> TrainState:
  if hooks.average is None:
    return state
  now = state.average, state.params, state.opt_state, state.step
  return dataclasses.replace(state, average=hooks.average(*now))


def _uphill(live: Params, grads: Params, rho: float) -> Params:
  scale = rho / jnp.maximum(optax.tree.norm(grads), 1e-12)
  return jax.tree.map(lambda w, g: (w + scale * g).astype(w.dtype), live, grads)


def _update(state: TrainState, tx, grads, live, held):
  """Moves the live leaves alone: held ones are returned bit for bit."""
  still = jax.tree.map(jnp.zeros_like, held)
  # For an optimizer that must know what becomes of its updates.
  made: Any = optax.with_extra_args_support(tx).update(
    tree.merge(grads, still),
    state.opt_state,
    state.params,
    lr_scale=state.lr_scale,
  )
  updates, opt_state = made
  updates, _ = tree.split(updates, tree.flatten(live).__contains__)
  updates = jax.tree.map(
    lambda u: (u * state.lr_scale).astype(u.dtype), updates
  )
  moved: Any = optax.apply_updates(live, updates)
  return tree.merge(moved, held), opt_state
