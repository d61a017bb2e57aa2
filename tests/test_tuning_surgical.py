"""Relative gradient norms against the paper's own definition, in torch."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from golden import tuning

from jft.errors import UserError
from jft.tuning import surgical

# What torch 2.13.0 computes; see golden/tuning.py.
RATIOS = {"first": 0.0717729131380717, "second": 0.5083533028761545}


def gradients():
  weights, batches = tuning.arrays(1)
  params = {name: {"kernel": jnp.asarray(w)} for name, w in weights.items()}

  def loss(params, batch):
    hidden = jnp.tanh(batch @ params["first"]["kernel"])
    logits = hidden @ params["second"]["kernel"]
    labels = np.arange(5) % 2
    losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
    return losses.mean()

  return params, [jax.grad(loss)(params, batch) for batch in batches]


def test_the_original_s_ratios():
  got = surgical.ratios(*gradients(), part=lambda name: name.split("/")[0])
  assert got == pytest.approx(RATIOS, rel=1e-5)


def test_a_part_is_one_vector_and_norms_and_the_head_do_not_count():
  params = {
    "stem": {"conv": {"kernel": np.array([3.0, 0.0])}},
    "block_00": {
      "fc": {"kernel": np.array([2.0]), "bias": np.array([0.0])},
      "norm": {"scale": np.array([1.0])},
    },
    "norm": {"scale": np.array([1.0])},
    "head": {"kernel": np.array([9.0])},
  }
  one = jax.tree.map(np.ones_like, params)
  two = jax.tree.map(lambda x: 3 * np.ones_like(x), params)
  got = surgical.ratios(params, [one, two])
  # sqrt(2) / 3 and sqrt(2) / 2 of the first, three times as much of the second.
  assert got == pytest.approx(
    {"below": 2 * 2**0.5 / 3, "block_00": 2 * 2**0.5 / 2}
  )
  assert surgical.choose(got, 1) == ("block_00",)
  assert surgical.choose(got, 2) == ("block_00", "below")


def test_what_cannot_be_measured():
  params = {"block_00": {"fc": {"kernel": np.zeros(2)}}}
  with pytest.raises(UserError, match="'block_00' is zero"):
    surgical.ratios(params, [params])
  with pytest.raises(UserError, match="no gradient to measure"):
    surgical.ratios({"block_00": {"fc": {"kernel": np.ones(2)}}}, [])


@pytest.mark.parametrize("ratio", [0.0, float("nan")])
def test_gradients_that_say_nothing(ratio):
  with pytest.raises(UserError, match=r"say nothing.*model\.head_init"):
    surgical.choose({"below": ratio, "block_00": 0.0}, 1)


@pytest.mark.parametrize("k", [0, 3])
def test_more_parts_than_there_are(k):
  with pytest.raises(UserError, match=r"has 2 parts \(a, b\); choose 1 to 2"):
    surgical.choose({"a": 1.0, "b": 2.0}, k)
