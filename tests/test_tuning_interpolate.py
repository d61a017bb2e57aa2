import jax.numpy as jnp
import numpy as np
import pytest

from jft.errors import UserError
from jft.tuning import interpolate


def tree(seed, dtype=jnp.float32):
  draw = np.random.default_rng(seed)
  return {
    "params": {"kernel": jnp.asarray(draw.normal(size=(3, 2)), dtype)},
    "counted": jnp.int32(seed),
  }


A, B, C = (tree(seed) for seed in range(3))


def kernel(found):
  return np.asarray(found["params"]["kernel"], np.float64)


def test_mean():
  found = interpolate.mean(iter([A, B, C]))
  expected = np.mean([kernel(A), kernel(B), kernel(C)], 0)
  np.testing.assert_allclose(kernel(found), expected, rtol=1e-6)
  assert found["counted"] == 0
  assert found["params"]["kernel"].dtype == jnp.float32


def test_a_mean_in_bfloat16_is_summed_in_float32():
  trees = [{"w": jnp.bfloat16(256)}, *[{"w": jnp.bfloat16(1)}] * 255]
  found = interpolate.mean(trees)["w"]
  # In bfloat16 256 + 1 is 256 again: the mean would be 1.
  assert (float(found), found.dtype) == (jnp.bfloat16(511 / 256), jnp.bfloat16)


def test_the_line_has_its_ends_to_the_bit():
  for share, end in ((0.0, A), (1.0, B)):
    found = interpolate.between(A, B, share)
    np.testing.assert_array_equal(found["params"]["kernel"], kernel(end))
  found = interpolate.between(A, B, 0.3)
  expected = 0.7 * kernel(A) + 0.3 * kernel(B)
  np.testing.assert_allclose(kernel(found), expected, rtol=1e-6, atol=1e-7)


def greedy_of_the_paper(order, trees, score):
  """Recipe 1, word for word: the mean of the ingredients, anew each time."""
  ingredients = []
  for i in order:
    with_it = np.mean([trees[j] for j in [*ingredients, i]], 0)
    without = np.mean([trees[j] for j in ingredients], 0) if ingredients else 0
    if not ingredients or score(with_it) >= score(without):
      ingredients.append(i)
  return np.mean([trees[j] for j in ingredients], 0), ingredients


@pytest.mark.parametrize("seed", range(4))
def test_greedy_is_the_papers_recipe(seed):
  draw = np.random.default_rng(seed)
  goal = draw.normal(size=4)
  trees = [goal + draw.normal(size=4) for _ in range(8)]

  def score(w):
    return -float(np.sum((np.asarray(w, np.float64) - goal) ** 2))

  order = sorted(range(8), key=lambda i: -score(trees[i]))
  expected, kept = greedy_of_the_paper(order, trees, score)
  assert 1 < len(kept) < 8
  found, tried = interpolate.greedy(
    order, lambda i: {"w": jnp.float32(trees[i])}, lambda t: score(t["w"])
  )
  assert [row.index for row in tried if row.kept] == kept
  assert [row.index for row in tried] == order
  np.testing.assert_allclose(found["w"], expected, rtol=1e-4, atol=1e-5)
  lower, _ = interpolate.greedy(
    order,
    lambda i: {"w": jnp.float32(trees[i])},
    lambda t: -score(t["w"]),
    higher=False,
  )
  np.testing.assert_array_equal(lower["w"], found["w"])


def test_a_score_that_is_no_number_is_never_kept():
  _, tried = interpolate.greedy(
    [0, 1], [A, B].__getitem__, lambda t: 1.0 if t is A else float("nan")
  )
  assert [row.kept for row in tried] == [True, False]


def test_nothing_is_refused():
  with pytest.raises(UserError, match="mean of no trees"):
    interpolate.mean([])
  with pytest.raises(UserError, match="soup of nothing"):
    interpolate.greedy([], tree, lambda t: 0.0)
