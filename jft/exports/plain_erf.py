"""A function whose `erf` is made of sums and products.

JAX 0.10 writes `erf` down as an operation that TensorFlow up to 2.21 does not
know. The rational function is that of XLA for float32, exact to its rounding.

Source: Eigen, MathFunctionsImpl.h (erf of float32).
"""

import jax
import jax.numpy as jnp
from jax.extend import core

from jft.typing import Any, Array, Callable, Sequence

_END = 3.7439211627767994
_ABOVE = (
  0.00022905065861350646,
  0.0034082910107109506,
  0.050955695062380861,
  0.18520832239976145,
  1.128379143519084,
)
_BELOW = (
  -1.1791602954361697e-7,
  0.000023547966471313185,
  0.0010179625278914885,
  0.014070470171167667,
  0.11098505178285362,
  0.49746925110067538,
  1.0,
)
# Calls that are written out, so that what is in them is seen.
_CALLS = ("jit", "pjit", "closed_call", "custom_jvp_call", "custom_vjp_call")
_BODIES = ("jaxpr", "call_jaxpr", "fun_jaxpr")


def erf(x: Array) -> Array:
  """Returns erf(x), computed in float32.

  >>> float(jnp.abs(erf(jnp.arange(-5, 5, 0.1)) - jax.lax.erf(
  ...   jnp.arange(-5, 5, 0.1))).max()) < 1e-6
  True
  """
  wide = jnp.clip(x.astype(jnp.float32), -_END, _END)
  square = wide * wide
  return (wide * _at(_ABOVE, square) / _at(_BELOW, square)).astype(x.dtype)


def _at(coefficients: Sequence[float], x: Array) -> Array:
  total = jnp.full_like(x, coefficients[0])
  for coefficient in coefficients[1:]:
    total = total * x + coefficient
  return total


def replaced(run: Callable[[Any], Any]) -> Callable[[Any], Any]:
  """Returns the same function, with every `erf` outside of loops replaced.

  >>> text = str(jax.make_jaxpr(replaced(jax.jit(jax.lax.erf)))(1.0))
  >>> " erf " in text
  False
  """

  def plain(inputs: Any) -> Any:
    closed, shapes = jax.make_jaxpr(run, return_shape=True)(inputs)
    leaves = jax.tree.leaves(inputs)
    made = _evaluated(closed.jaxpr, closed.consts, leaves)
    return jax.tree.unflatten(jax.tree.structure(shapes), made)

  return plain


def _evaluated(jaxpr: Any, consts: Any, inputs: Sequence[Any]) -> list[Any]:
  values: dict[Any, Any] = dict(zip(jaxpr.constvars, consts, strict=True))
  values |= dict(zip(jaxpr.invars, inputs, strict=True))

  def read(variable: Any) -> Any:
    if isinstance(variable, core.Literal):
      return variable.val
    return values[variable]

  for equation in jaxpr.eqns:
    given = [read(variable) for variable in equation.invars]
    made = _bound(equation, given)
    values |= dict(zip(equation.outvars, made, strict=True))
  return [read(variable) for variable in jaxpr.outvars]


def _bound(equation: Any, given: list[Any]) -> Sequence[Any]:
  primitive, params = equation.primitive, equation.params
  if primitive is jax.lax.erf_p:
    return [erf(given[0])]
  bodies = [params[name] for name in _BODIES if name in params]
  if primitive.name in _CALLS and bodies:
    body = bodies[0]
    return _evaluated(body.jaxpr, body.consts, given)
  made = primitive.bind(*given, **primitive.get_bind_params(params))
  return made if primitive.multiple_results else [made]
