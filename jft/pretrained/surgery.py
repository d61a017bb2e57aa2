"""Arrays fitted to a changed model, and tables to one with other blocks."""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jft.errors import UserError
from jft.pretrained.layouts import Entry
from jft.typing import Float, Rules

_BLOCK = re.compile(r"(\w+)/block_(\d+)/(.*)")


def fit_channels(
  kernel: Float[np.ndarray, "h w c out"], shape: Sequence[int]
) -> Float[np.ndarray, "h w c2 out"]:
  """Returns a stem's kernel for images with another number of channels.

  One channel gets the sum over the old ones, so that a grey image gives what
  it gave when repeated. More get the old ones in turn, scaled so that the sum
  over channels, and with it the size of what the next layer sees, stays.

  Args:
    kernel: as loaded.
    shape: as wanted; only the channels may differ.

  Source: timm.models.adapt_input_conv, which scales in the same way.

  >>> fit_channels(np.ones((1, 1, 3, 1)), (1, 1, 1, 1)).item()
  3.0
  >>> fit_channels(np.ones((1, 1, 3, 1)), (1, 1, 6, 1)).ravel().tolist()
  [0.5, 0.5, 0.5, 0.5, 0.5, 0.5]
  """
  old, new = kernel.shape[2], shape[2]
  if new == 1:
    return kernel.sum(axis=2, keepdims=True)
  return kernel[:, :, np.arange(new) % old] * (old / new)


def fit_rows(
  table: Float[np.ndarray, "rows *d"], shape: Sequence[int]
) -> Float[np.ndarray, "rows2 *d"]:
  """Returns an embedding with more or fewer rows; new ones are the mean.

  A new token thus starts as likely as an average one; zeros would start it as
  the likeliest or the least of all.

  Source: Hewitt, "Initializing New Word Embeddings for Pretrained Language
    Models", 2021.

  >>> fit_rows(np.array([[1.0], [3.0]]), (3, 1)).ravel().tolist()
  [1.0, 3.0, 2.0]
  """
  kept = table[: shape[0]]
  mean = table.mean(axis=0, keepdims=True, dtype=np.float64)
  new = np.repeat(mean.astype(table.dtype), shape[0] - len(kept), axis=0)
  return np.concatenate([kept, new])


def fit_columns(
  kernel: Float[np.ndarray, "d columns"], shape: Sequence[int]
) -> Float[np.ndarray, "d columns2"]:
  """Returns a kernel that scores more or fewer words; see `fit_rows`.

  >>> fit_columns(np.array([[1.0, 3.0]]), (1, 3)).ravel().tolist()
  [1.0, 3.0, 2.0]
  """
  return fit_rows(kernel.T, shape[::-1]).T


def shortened(config: Any, kept: Sequence[int]) -> Any:
  """Returns the config of a model made of some blocks of another.

  Args:
    config: with `depth`, or with `stage_sizes`.
    kept: numbers of blocks, in their order; one that comes twice is doubled.

  Raises:
    UserError: for a block that there is not, or a stage without its first one,
      which changes size and channels.
  """
  name = type(config).__module__.rpartition(".")[2].removesuffix("_config")
  stages = (
    (config.depth,)
    if hasattr(config, "depth")
    else getattr(config, "stage_sizes", ())
  )
  total = sum(stages)
  if not total:
    raise UserError(f"{name} has no blocks to leave out.")
  if not kept or list(kept) != sorted(kept) or not 0 <= kept[0] <= kept[-1]:
    raise UserError(
      "keep_blocks must be numbers of blocks in rising order, got"
      f" {tuple(kept)}."
    )
  if kept[-1] >= total:
    raise UserError(
      f"keep_blocks={tuple(kept)}: {name} has blocks 0 to {total - 1}."
    )
  if hasattr(config, "depth"):
    changed: dict[str, Any] = {"depth": len(kept)}
    if each := getattr(config, "layer_types", ()):
      changed["layer_types"] = tuple(each[i] for i in kept)
    return dataclasses.replace(config, **changed)
  sizes, first = [], 0
  for stage, blocks in enumerate(stages):
    inside = [i for i in kept if first <= i < first + blocks]
    if inside.count(first) != 1:
      raise UserError(
        f"keep_blocks={tuple(kept)}: block {first} begins stage {stage}, where"
        " size and channels change; it must be kept, once."
      )
    sizes.append(len(inside))
    first += blocks
  return dataclasses.replace(config, stage_sizes=tuple(sizes))


def renumbered(
  table: Mapping[str, Entry], kept: Sequence[int]
) -> tuple[dict[str, Entry], Rules]:
  """Returns the table of a model made of some blocks, and what that drops.

  Args:
    table: of the whole model.
    kept: see `shortened`.
  """
  out, rules = {}, []
  for name, entry in table.items():
    found = _BLOCK.fullmatch(name)
    if found is None:
      out[name] = entry
      continue
    collection, number, leaf = found[1], int(found[2]), found[3]
    places = [new for new, old in enumerate(kept) if old == number]
    for new in places:
      out[f"{collection}/block_{new:02d}/{leaf}"] = entry
    if not places:
      why = f"block_{number:02d} is not in keep_blocks"
      rules.append((re.escape(entry.source), why))
  return out, tuple(rules)
