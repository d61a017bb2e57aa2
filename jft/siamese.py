"""Two texts read apart by one network; their similarity is a cosine."""

import jax.numpy as jnp

from jft.typing import Any, ApplyFn, Variables

_LEAST = 1e-8


def cosine(apply: ApplyFn) -> ApplyFn:
  """Returns an apply over pairs, whose one logit is their features' cosine.

  Both texts of a pair go through the network in one batch, so each is read
  without the other, as it is where sentences are searched by their vectors.

  Args:
    apply: of a network that gives `features` [b d].

  Returns:
    (variables, {name: Int["b 2 n"]}, ...) -> outputs: `logits` [b 1], from -1
    to 1, and `features` [b 2 d].

  Source: Reimers and Gurevych, 2019 (arXiv:1908.10084), the regression
  objective.
  """

  def of_pairs(
    variables: Variables, inputs: Any, *, mutable: Any = False, **options: Any
  ) -> Any:
    apart = {name: x.reshape(-1, x.shape[-1]) for name, x in inputs.items()}
    made = apply(variables, apart, mutable=mutable, **options)
    outputs, collections = made if mutable is not False else (made, None)
    features = outputs["features"]
    features = features.reshape(-1, 2, features.shape[-1])
    outputs = {"logits": _cosine(features)[:, None], "features": features}
    return outputs if mutable is False else (outputs, collections)

  return of_pairs


def _cosine(features: Any) -> Any:
  x = features.astype(jnp.float32)
  # The root of 0 has no gradient; the least square is added before it.
  size = jnp.sqrt(jnp.sum(x * x, axis=-1) + _LEAST**2)
  return jnp.sum(x[:, 0] * x[:, 1], axis=-1) / (size[:, 0] * size[:, 1])
