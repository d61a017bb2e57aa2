"""Test-time augmentation: the answers to several views of one picture, in the
mean.

  apply = augment.views.averaged(net.apply, ("flip", "crops"))
"""

import types

import jax
import jax.numpy as jnp

from jft.augment import geometry
from jft.errors import UserError, did_you_mean
from jft.typing import (
  Any,
  ApplyFn,
  Array,
  Callable,
  Float,
  Mapping,
  Outputs,
  Sequence,
  Variables,
)

Images = Float[Array, "b h w c"]
CROP = 0.875
"""The side of a crop, as a share of the picture's."""


def flips(images: Images) -> list[Images]:
  """Returns the pictures and their mirror images."""
  return [images, images[:, :, ::-1]]


def crops(images: Images) -> list[Images]:
  """Returns the pictures, their corners and their middles, resized."""
  height, width = images.shape[1:3]
  h, w = round(CROP * height), round(CROP * width)
  down, right = height - h, width - w
  places = [(0, 0), (0, right), (down, 0), (down, right)]
  places.append((down // 2, right // 2))
  cut = jax.vmap(geometry.resized_crop, (0, None, None, None, None))
  return [images, *(cut(images, top, left, h, w) for top, left in places)]


VIEWS: Mapping[str, Callable[[Images], list[Images]]] = types.MappingProxyType(
  {"flip": flips, "crops": crops}
)
MEANS = ("probabilities", "logits")


def averaged(
  apply: ApplyFn, names: Sequence[str], mean: str = "probabilities"
) -> ApplyFn:
  """Returns an `apply` that answers with the mean over all views.

  The views run one after another: so many times the work of one, and its
  memory. Of the outputs logits and features are means; what is of places in the
  picture is left out.

  Args:
    apply: of the network; in training it is called as it is.
    names: of `VIEWS`; of two kinds every view of one is taken of each view of
      the other: ("flip", "crops") makes 12.
    mean: of what: "logits", or "probabilities", whose logarithms are then the
      logits.

  Source: He et al., 2016 (arXiv:1512.03385), section 4.1 (10-crop testing).
  """
  for name in names:
    if name not in VIEWS:
      raise UserError(
        f"no view is called {name!r}: choose of {', '.join(VIEWS)}."
        f"{did_you_mean(name, VIEWS)}"
      )
  if mean not in MEANS:
    raise UserError(f"mean={mean!r}: choose one of {', '.join(MEANS)}.")

  def viewed(variables: Variables, inputs: Any, **options: Any) -> Any:
    if options.get("train"):
      return apply(variables, inputs, **options)
    seen = [jnp.asarray(inputs)]
    for name in names:
      seen = [view for images in seen for view in VIEWS[name](images)]
    outputs = jax.lax.map(
      lambda images: _kept(apply(variables, images, **options), mean),
      jnp.stack(seen),
    )
    means = {name: x.mean(0) for name, x in outputs.items()}
    if mean == "probabilities":
      means["logits"] = jnp.log(means["logits"])
    return means

  return viewed


def _kept(outputs: Outputs, mean: str) -> Outputs:
  kept = {
    name: outputs[name].astype(jnp.float32)
    for name in ("logits", "features")
    if name in outputs
  }
  if mean == "probabilities":
    kept["logits"] = jax.nn.softmax(kept["logits"])
  return kept
