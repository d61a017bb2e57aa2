"""Depths of every family's parameters, literally; see golden/freeze_trees.txt.

A line there is a depth, a module and its leaves, each with the presets that
train it: the top block, the norms, the biases.
"""

import pathlib
import re

import pytest
from golden import families

from jft import tree
from jft.errors import UserError
from jft.tuning import depth, freeze

_FILE = pathlib.Path(__file__).parent / "golden" / "freeze_trees.txt"
_PRESETS = {
  "top": lambda params: freeze.top_blocks(params, 1),
  "norm": freeze.norm_only,
  "bias": freeze.bias_only,
}


def trees():
  """Returns {family: {leaf: (depth, presets that train it)}}."""
  found = {}
  for line in _FILE.read_text().splitlines():
    if not line.startswith(" "):
      leaves = found.setdefault(line, {})
      continue
    at, module, rest = re.fullmatch(r"  (\d) (\S+): (.*)", line).groups()
    for leaf in rest.split(", "):
      name, _, presets = leaf.partition(" ")
      leaves[f"{module}/{name}"] = int(at), {*presets.strip("()").split()}
  return found


TREES = trees()


@pytest.mark.parametrize("family", TREES)
def test_every_leaf_of_every_family(family):
  params, want = families.params(family), TREES[family]
  assert depth.depths(tree.flatten(params)) == {
    n: d for n, (d, _) in want.items()
  }
  for preset, rules in _PRESETS.items():
    trained = {n for n, (_, presets) in want.items() if preset in presets}
    if not trained:
      with pytest.raises(UserError, match="no bias outside its head"):
        rules(params)
      continue
    labels = tree.flatten(freeze.label(params, rules(params)))
    assert {n for n, label in labels.items() if label == "backbone"} == trained
    heads = {n for n in labels if n.startswith("head/")}
    assert {n for n, label in labels.items() if label == "head"} == heads


def test_what_is_nested_or_added_lies_as_deep_as_its_module():
  assert depth.part("encoder/embeddings/word/embedding") == "below"
  assert depth.part("encoder/block_07/fc/kernel") == "encoder/block_07"
  assert depth.part("encoder/norm/scale") == "above"
  assert depth.part("adapters/mine/block_07/fc/lora_a") == "block_07"
  names = ["block_00/w", "teacher/params/block_00/w", "teacher/block_01/w"]
  assert [*depth.depths(names).values()] == [1, 2, 2]
  assert depth.blocks(names) == ["block_00"]
  names = ["a/block_1/w", "a/block_10/w", "a/block_2/w", "scale"]
  assert depth.depths(names) == dict(zip(names, (1, 3, 2, 4), strict=True))
