"""Everything a run needs to go on, as one pytree."""

from typing import Any, Protocol

import flax.struct
import jax
import jax.numpy as jnp
import optax

from jft import rng, tree
from jft.tuning import freeze
from jft.typing import Array, Float, Int, Key, Params, Variables


class HasVariables(Protocol):
  """A model's variables: {"params": ..., collections}."""

  @property
  def variables(self) -> Variables: ...


@flax.struct.dataclass
class TrainState:
  """The state of a run after `step` updates.

  Attributes:
    step: completed updates.
    attempt: raised by every rollback, so that a retry draws other randomness.
    params: the trainable half of the params tree.
    frozen: the frozen half; no gradient, no optimizer state.
    model_state: Linen collections other than params, such as batch_stats.
    opt_state: optax state over `params` alone.
    key: base key of the dropout stream; each step derives its own from it.
    lr_scale: factor on every update, 1 unless a rollback cut it.
    average: of `params` over the updates, what is evaluated; {} without one.
  """

  step: Int[Array, ""]
  attempt: Int[Array, ""]
  params: Params
  frozen: Params
  model_state: Variables
  opt_state: Any
  key: Key
  lr_scale: Float[Array, ""]
  average: Params = flax.struct.field(default_factory=dict)

  @classmethod
  def create(
    cls,
    net: HasVariables,
    labels: Params,
    tx: optax.GradientTransformation,
    *,
    seed: int = 0,
    averaged: bool = False,
  ) -> "TrainState":
    """Splits the variables by label and starts the optimizer.

    Args:
      net: anything with `variables`, {"params": ..., collections}; it keeps
        them, the state has copies.
      labels: what `freeze.label` returned for these params.
      tx: the optimizer, as `optim.by_label` makes it.
      seed: names the dropout stream.
      averaged: whether an average of the params is kept, from these on.
    """
    collections = dict(net.variables)
    params, frozen = tree.split(
      collections.pop("params"), freeze.is_trained(labels)
    )
    state = cls(
      step=jnp.zeros((), jnp.int32),
      attempt=jnp.zeros((), jnp.int32),
      params=params,
      frozen=frozen,
      model_state=collections,
      opt_state=tx.init(params),
      key=rng.key(seed, "dropout"),
      lr_scale=jnp.ones((), jnp.float32),
      average=params if averaged else {},
    )
    # Equal constants may share one buffer, and the net keeps its variables: a
    # donated state must own every buffer, each exactly once.
    return jax.tree.map(jnp.copy, state)

  @property
  def variables(self) -> Variables:
    """What `net.apply` takes: all params, merged, and the collections."""
    params = tree.merge(self.params, self.frozen)
    return {"params": params, **self.model_state}

  @property
  def eval_variables(self) -> Variables:
    """What is evaluated, kept as best and exported: averaged where it can be.

    The collections are the live ones.
    """
    params = tree.merge(self.average or self.params, self.frozen)
    return {"params": params, **self.model_state}
