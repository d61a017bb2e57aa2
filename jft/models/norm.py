"""BatchNorm whose running statistics follow PyTorch to the letter."""

import inspect

import flax.linen as nn
import jax
import jax.numpy as jnp

from jft.errors import UserError
from jft.typing import Array, Float

_flax_call = inspect.unwrap(nn.BatchNorm.__call__)
"""Linen's own call without its wrapper, so that interceptors run once."""


class BatchNorm(nn.BatchNorm):
  """`nn.BatchNorm` with PyTorch's defaults and running variance.

  Both normalise by the biased variance of the batch. PyTorch adds the unbiased
  one, n/(n-1) times as large, to its running average where Flax adds the
  biased one: with few values a channel (small batches of small maps) the two
  part quickly. Names, collections and fields are those of `nn.BatchNorm`;
  statistics are float32 whatever `dtype` is. With `axis_name` the statistics,
  and n, are those of the global batch.

  Source: torch.nn.BatchNorm2d; with `axis_name`, torch.nn.SyncBatchNorm.

  >>> x, norm = jnp.array([[0.0], [2.0]]), BatchNorm()
  >>> variables = norm.init(jax.random.key(0), x, use_running_average=False)
  >>> _, new = norm.apply(
  ...   variables, x, use_running_average=False, mutable=["batch_stats"]
  ... )
  >>> print(new["batch_stats"]["var"])  # 0.9 * 1 + 0.1 * 2; Flax adds 1
  [1.1]
  """

  momentum: float = 0.9
  epsilon: float = 1e-5

  @nn.compact
  def __call__(
    self,
    x: Float[Array, "b *shape"],
    use_running_average: bool | None = None,
    *,
    mask: Array | None = None,
  ) -> Float[Array, "b *shape"]:
    """Normalises the input.

    Args:
      x: values, features in `axis` (the last by default).
      use_running_average: True to normalise by the running statistics and
        leave them alone; given here or as a field.
      mask: True where a value counts; broadcast against `x`.

    Returns:
      The normalised values, in `dtype`.

    Raises:
      UserError: in train mode with one value a channel, which has no variance.
    """
    before = self.get_variable("batch_stats", "var")
    y = _flax_call(self, x, use_running_average, mask=mask)
    frozen = nn.merge_param(
      "use_running_average", self.use_running_average, use_running_average
    )
    if frozen or self.is_initializing():
      return y
    n = self._count(x, mask)
    after = self.get_variable("batch_stats", "var")
    kept = self.momentum * before
    self.put_variable(
      "batch_stats", "var", kept + (after - kept) * (n / (n - 1))
    )
    return y

  def _count(self, x: Array, mask: Array | None) -> int | Array:
    """Returns how many values a channel had, over all devices."""
    channel_axes = (self.axis,) if isinstance(self.axis, int) else self.axis
    channel_axes = {axis % x.ndim for axis in channel_axes}
    axes = tuple(axis for axis in range(x.ndim) if axis not in channel_axes)
    if mask is not None:
      n = jnp.broadcast_to(mask, x.shape).astype(jnp.float32).sum(axes)
      if self.axis_name is not None:
        n = jax.lax.psum(n, self.axis_name)
      # A fully masked batch has no variance either; keep the update finite.
      return jnp.maximum(n, 2.0)
    n = 1
    for axis in axes:
      n *= x.shape[axis]
    if self.axis_name is not None:
      n *= jax.lax.psum(
        1, self.axis_name, axis_index_groups=self.axis_index_groups
      )
    if n == 1:
      raise UserError(
        f"BatchNorm {'/'.join(self.path)!r} got one value a channel in train"
        f" mode (shape {x.shape}), which has no variance: use a larger batch"
        " or larger images, or freeze this module."
      )
    return n
