import jax.numpy as jnp
import optax
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jft import tree
from jft.errors import UserError

TREE = {"stem": {"conv": {"kernel": 1}}, "head": {"kernel": 2, "bias": 3}}
FLAT = {"head/bias": 3, "head/kernel": 2, "stem/conv/kernel": 1}

trees = st.recursive(
  st.integers(),
  lambda leaf: st.dictionaries(st.sampled_from("abcde"), leaf, min_size=1),
).filter(lambda x: isinstance(x, dict))


def test_names_are_literal():
  assert tree.flatten(TREE) == FLAT
  assert tree.unflatten(FLAT) == TREE


@given(trees, st.sets(st.sampled_from("abcde")))
def test_merge_undoes_split(any_tree, letters):
  kept, rest = tree.split(any_tree, lambda name: name[-1] in letters)
  assert all(name[-1] in letters for name in tree.flatten(kept))
  assert not any(name[-1] in letters for name in tree.flatten(rest))
  assert tree.merge(kept, rest) == any_tree


def test_merge_refuses_two_values_for_one_name():
  with pytest.raises(UserError, match=r"both trees hold \['a/b'\]"):
    tree.merge({"a": {"b": 1}}, {"a": {"b": 2}})


@pytest.mark.parametrize("bad", [{"a": [1]}, {"a/b": 1}])
def test_what_has_no_name_is_an_error(bad):
  with pytest.raises(UserError):
    tree.flatten(bad)


def test_map_with_names_keeps_holes():
  holes = {"a": optax.MaskedNode(), "b": 1}
  assert tree.map_with_names(lambda name, x: name, holes) == {
    "a": optax.MaskedNode(),
    "b": "b",
  }


def test_sizes():
  leaves = {"a": jnp.zeros((2, 3)), "b": jnp.zeros(4, jnp.bfloat16)}
  assert tree.count(leaves) == 10
  assert tree.nbytes(leaves) == 32
