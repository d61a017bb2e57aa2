"""Networks of inverted residual blocks: stem, blocks, top, head."""

from typing import Any, NamedTuple

import flax.linen as nn
import jax.numpy as jnp

from jft.models.head import Head, make_head
from jft.models.images import check_images
from jft.models.inverted_residual import (
  ConvNorm,
  InvertedResidual,
  Layers,
  Plan,
)
from jft.typing import Array, Float, Outputs


class Outline(NamedTuple):
  """What one such network is made of.

  Attributes:
    family: for messages.
    activation: a key of `inverted_residual.ACTIVATIONS`.
    stem: channels after the first convolution.
    plan: of every block.
    top: channels after the last convolution.
    head_init: draws the head's kernel.
  """

  family: str
  activation: str
  stem: int
  plan: tuple[Plan, ...]
  top: int
  head_init: Any


class InvertedNet(nn.Module):
  """Stem, `block_00`... through all stages, `top`, mean pool, `head`.

  `config` holds `padding`, `norm_eps`, `norm_momentum`, `dropout` and
  `in_channels`.
  """

  config: Any
  outline: Outline
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
      inputs: normalised images.
      train: normalise by the batch and update `batch_stats`; drop out and drop
        paths, which needs `rngs={"dropout": key}`.
      axis_name: of the mapped devices, for statistics of the global batch.

    Returns:
      `hidden` [b h w c], the last map; `features` [b d], its mean; and
      `logits` [b k] if there is a head.

    Raises:
      UserError: if the images have another shape or number of channels.
    """
    config, outline = self.config, self.outline
    check_images(outline.family, inputs.shape, config.in_channels)
    dtypes = {"dtype": self.dtype, "param_dtype": self.param_dtype}
    layers = Layers(
      outline.activation,
      config.padding,
      config.norm_eps,
      config.norm_momentum,
      train,
      axis_name,
      dtypes,
    )
    x = inputs.astype(self.dtype)
    x = ConvNorm(outline.stem, 3, layers, stride=2, name="stem")(x)
    make = nn.remat(InvertedResidual) if self.remat else InvertedResidual
    for i, plan in enumerate(outline.plan):
      x = make(plan, layers, name=f"block_{i:02d}")(x)
    x = ConvNorm(outline.top, 1, layers, name="top")(x)
    outputs = {"hidden": x, "features": jnp.mean(x, axis=(1, 2))}
    if self.num_classes is not None:
      drop = nn.Dropout(config.dropout, deterministic=not train)
      head = make_head(
        self.num_classes, kernel_init=outline.head_init, **dtypes
      )
      outputs["logits"] = head(drop(outputs["features"]), train)
    return outputs
