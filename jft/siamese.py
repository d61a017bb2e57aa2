"""Texts read apart by one network, to be compared by their vectors."""

import jax.numpy as jnp

from jft.losses.contrastive import unit
from jft.typing import Any, ApplyFn, Variables


def apart(apply: ApplyFn) -> ApplyFn:
  """Returns an apply over several texts an example, each read by itself.

  All of them go through the network in one batch, so each is read without the
  others, as it is where sentences are searched by their vectors.

  Args:
    apply: of a network that gives `features` [b d].

  Returns:
    (variables, {name: Int["b s n"]}, ...) -> outputs: `features` [b s d].

  Source: Reimers and Gurevych, 2019 (arXiv:1908.10084).
  """

  def of_each(
    variables: Variables, inputs: Any, *, mutable: Any = False, **options: Any
  ) -> Any:
    texts = inputs["input_ids"].shape[1]
    flat = {name: x.reshape(-1, x.shape[-1]) for name, x in inputs.items()}
    made = apply(variables, flat, mutable=mutable, **options)
    outputs, collections = made if mutable is not False else (made, None)
    features = outputs["features"]
    outputs = {"features": features.reshape(-1, texts, features.shape[-1])}
    return outputs if mutable is False else (outputs, collections)

  return of_each


def cosine(apply: ApplyFn) -> ApplyFn:
  """Returns an apply over pairs, whose one logit is their features' cosine.

  Args:
    apply: of a network that gives `features` [b d].

  Returns:
    (variables, {name: Int["b 2 n"]}, ...) -> outputs: `logits` [b 1], from -1
    to 1, and `features` [b 2 d].

  Source: Reimers and Gurevych, 2019 (arXiv:1908.10084), the regression
  objective.
  """
  read = apart(apply)

  def of_pairs(
    variables: Variables, inputs: Any, *, mutable: Any = False, **options: Any
  ) -> Any:
    made = read(variables, inputs, mutable=mutable, **options)
    outputs, collections = made if mutable is not False else (made, None)
    outputs = {**outputs, "logits": _cosine(outputs["features"])[:, None]}
    return outputs if mutable is False else (outputs, collections)

  return of_pairs


def _cosine(features: Any) -> Any:
  x = unit(features)
  return jnp.sum(x[:, 0] * x[:, 1], axis=-1)
