"""VGG, from 11 to 19 layers, with and without BatchNorm."""

import functools
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import numpy as np

from jft.models.head import Head, make_head
from jft.models.images import check_images
from jft.models.norm import BatchNorm
from jft.models.vgg_config import PRESETS, Config
from jft.typing import Array, Callable, Float, Outputs

__all__ = ["PRESETS", "Config", "Vgg", "module"]


def module(
  config: Config,
  num_classes: Head | int | None = None,
  *,
  dtype: Any = jnp.float32,
  param_dtype: Any = jnp.float32,
  remat: bool = False,
) -> "Vgg":
  """Returns the Linen module of a config.

  Args:
    config: one of `PRESETS`, or your own.
    num_classes: outputs of the head, or its kind; None for no head.
    dtype: of the computation; BatchNorm's statistics stay float32.
    param_dtype: of the parameters.
    remat: compute each block's activations again in the backward pass: less
      memory for about a third more computation.

  >>> module(PRESETS["vgg16"], num_classes=37).config.stage_sizes
  (2, 2, 3, 3, 3)
  """
  return Vgg(config, num_classes, dtype, param_dtype, remat)


class Vgg(nn.Module):
  """`block_00`... of one convolution each, `fc1`, `fc2`, `head`.

  Source: Simonyan & Zisserman, arXiv:1409.1556; torchvision.models.vgg.
  """

  config: Config
  num_classes: Head | int | None = None
  dtype: Any = jnp.float32
  param_dtype: Any = jnp.float32
  remat: bool = False

  @nn.compact
  def __call__(
    self,
    inputs: Float[Array, "b h w c"],
    *,
    train: bool = False,
    axis_name: str | None = None,
  ) -> Outputs:
    """Runs the network.

    Args:
      inputs: normalised images of at least 32 pixels a side (2 to the number
        of stages).
      train: normalise by the batch, update `batch_stats`, drop out.
      axis_name: of the mapped devices, for statistics of the global batch.

    Returns:
      `hidden` [b h w c], the last map; `features` [b d], what the second dense
      layer makes of it; and `logits` [b k] if there is a head.

    Raises:
      UserError: if the images have another shape or number of channels.
    """
    config = self.config
    check_images("VGG", inputs.shape, config.in_channels)
    dtypes = {"dtype": self.dtype, "param_dtype": self.param_dtype}
    norm = functools.partial(BatchNorm, axis_name=axis_name, **dtypes)
    make_block = nn.remat(Block) if self.remat else Block
    x = inputs.astype(self.dtype)
    for i, (stage, number, width) in enumerate(config.blocks()):
      x = make_block(
        functools.partial(nn.Conv, width, kernel_init=_conv_init, **dtypes),
        norm if config.norm else None,
        number == config.stage_sizes[stage] - 1,
        train,
        name=f"block_{i:02d}",
      )(x)
    outputs = {"hidden": x}
    x = _pool(x, config.pooled)
    for name, axes in (("fc1", (1, 2, 3)), ("fc2", (1,))):
      dense = nn.DenseGeneral(
        config.hidden, axes, kernel_init=_dense_init, **dtypes, name=name
      )
      x = nn.Dropout(config.dropout, deterministic=not train)(nn.relu(dense(x)))
    outputs["features"] = x
    if self.num_classes is not None:
      head = make_head(self.num_classes, kernel_init=_dense_init, **dtypes)
      outputs["logits"] = head(x, train)
    return outputs


class Block(nn.Module):
  """A convolution, its norm if it has one, and at a stage's end a max pool.

  Attributes:
    conv: makes the convolution from its kernel size.
    norm: makes the norm; None for none.
    last: of its stage.
    train: as in `Vgg`.
  """

  conv: Callable[..., nn.Module]
  norm: Callable[..., nn.Module] | None
  last: bool
  train: bool

  @nn.compact
  def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
    x = self.conv(kernel_size=(3, 3), padding=1, name="conv")(x)
    if self.norm is not None:
      x = self.norm(name="norm")(x, use_running_average=not self.train)
    x = nn.relu(x)
    return nn.max_pool(x, (2, 2), (2, 2)) if self.last else x


# As torchvision draws them: kaiming_normal_(mode="fan_out"), normal_(0, 0.01).
_conv_init = nn.initializers.variance_scaling(2.0, "fan_out", "normal")
_dense_init = nn.initializers.normal(0.01)


def _pool(x: Float[Array, "b h w c"], size: int) -> Float[Array, "b p p c"]:
  """Averages a map to `size` pixels a side, in bins that may overlap.

  Source: torch.nn.AdaptiveAvgPool2d.
  """
  height, width = x.shape[1:3]
  if (height, width) == (size, size):
    return x
  exact = jnp.promote_types(x.dtype, jnp.float32)
  rows, columns = (
    jnp.asarray(_bins(pixels, size), exact) for pixels in (height, width)
  )
  return jnp.einsum("ph,bhwc,qw->bpqc", rows, x, columns).astype(x.dtype)


def _bins(pixels: int, size: int) -> Float[np.ndarray, "size pixels"]:
  """Returns the matrix that averages `pixels` values in `size` bins."""
  bins = np.zeros((size, pixels))
  for i in range(size):
    start, stop = i * pixels // size, -(-(i + 1) * pixels // size)
    bins[i, start:stop] = 1 / (stop - start)
  return bins
