"""Several losses as one."""

from jft.errors import UserError
from jft.typing import Any, Array, Callable, Sequence


def weighted(
  parts: Sequence[tuple[Callable[..., Array], float]],
) -> Callable[..., Array]:
  """Returns the weighted sum of losses that take the same arguments.

  Args:
    parts: (loss, weight), the weights positive.

  Raises:
    UserError: if there is none, or for a weight that is not positive.

  >>> loss = weighted([(lambda x: x * x, 0.5), (abs, 2.0)])
  >>> loss(-2.0)
  6.0
  """
  for _, weight in parts:
    if not 0 < weight < float("inf"):
      raise UserError(f"a loss's weight must be positive, got {weight}.")
  if not parts:
    raise UserError("a weighted sum needs at least one loss.")

  def total(*args: Any) -> Array:
    first, *rest = (weight * loss(*args) for loss, weight in parts)
    return sum(rest, start=first)

  return total
