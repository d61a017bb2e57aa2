"""How deep a leaf lies: below the blocks, in one of them, or above.

By convention `stem` (or `stem_0`, ...) and `embeddings` come before the blocks
`block_00`, `block_01`, ...; all that is neither of these nor the head comes
after them (a final norm, a pooler). Freezing, unfreezing, learning rates by
layer and surgical fine-tuning all go by this order.
"""

import re

from jft.typing import Iterable

BELOW = "below"
ABOVE = "above"
HEAD = "head"
APART = "apart"

_BELOW = re.compile(r"(.*/)?(stem(_\d+)?|embeddings)/.*")
_BLOCK = re.compile(r"((?:.*/)?block_\d+)/.*")
# What a method adds is named by the module that it is added to.
_ADDED = re.compile(r"adapters/[^/]+/")
# Another network beside this one.
_BESIDE = "teacher/"


def part(name: str) -> str:
  """Returns which part of the network a leaf belongs to.

  Args:
    name: of a leaf of params.

  Returns:
    The block's name, or "below", "above" or "head"; "apart" of what is no part
    of the network, such as its teacher.

  >>> [part(name) for name in ("stem/conv/kernel", "block_03/norm/scale",
  ...                          "norm/scale", "head/bias")]
  ['below', 'block_03', 'above', 'head']
  """
  if name.startswith(_BESIDE):
    return APART
  name = _ADDED.sub("", name, count=1)
  if name.startswith("head/"):
    return HEAD
  if _BELOW.fullmatch(name):
    return BELOW
  block = _BLOCK.fullmatch(name)
  return block[1] if block else ABOVE


def blocks(names: Iterable[str]) -> list[str]:
  """Returns the names of the blocks that hold these leaves, the lowest first.

  >>> blocks(["block_100/bias", "block_99/bias", "head/bias"])
  ['block_99', 'block_100']
  """
  found = {part(name) for name in names} - {BELOW, ABOVE, HEAD, APART}
  return sorted(found, key=_numbers)


def depths(names: Iterable[str]) -> dict[str, int]:
  """Returns {leaf: depth}: 0 below, the i-th block i + 1, the rest above all.

  Args:
    names: of all leaves of params.

  >>> depths(["embeddings/word/embedding", "block_00/bias", "block_01/bias",
  ...         "pooler/bias", "head/bias"]).values()
  dict_values([0, 1, 2, 3, 3])
  """
  names = list(names)
  order = {block: i + 1 for i, block in enumerate(blocks(names))}
  top = len(order) + 1
  order |= {BELOW: 0, ABOVE: top, HEAD: top, APART: top}
  return {name: order[part(name)] for name in names}


def _numbers(block: str) -> list[tuple[bool, int, str]]:
  pieces = re.split(r"(\d+)", block)
  return [
    (piece.isdecimal(), int(piece) if piece.isdecimal() else 0, piece)
    for piece in pieces
  ]
