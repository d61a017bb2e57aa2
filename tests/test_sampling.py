import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jft.errors import UserError
from jft.sampling import Sampling, restricted, sample

LOGITS = jnp.log(jnp.array([[0.05, 0.4, 0.25, 0.2, 0.1]]))


def kept(**options):
  found = restricted(LOGITS, Sampling(1.0, **options))
  return np.flatnonzero(np.isfinite(found[0])).tolist()


def test_top_k_keeps_the_likeliest():
  assert kept(top_k=2) == [1, 2]
  assert kept(top_k=9) == [0, 1, 2, 3, 4]


def test_top_p_keeps_the_token_that_reaches_it():
  # 0.4 + 0.25 = 0.65 is below, with 0.2 it is reached.
  assert kept(top_p=0.7) == [1, 2, 3]
  assert kept(top_p=0.3) == [1]
  assert kept(top_p=1.0) == [0, 1, 2, 3, 4]


def test_draws_follow_the_probabilities():
  keys = jax.random.split(jax.random.key(0), 20_000)
  many = jnp.broadcast_to(LOGITS, (len(keys), 5))
  drawn = np.bincount(sample(many, Sampling(1.0), keys), minlength=5) / len(
    keys
  )
  np.testing.assert_allclose(drawn, [0.05, 0.4, 0.25, 0.2, 0.1], atol=0.015)
  cold = np.bincount(sample(many, Sampling(0.5), keys), minlength=5) / len(keys)
  squares = np.array([0.05, 0.4, 0.25, 0.2, 0.1]) ** 2
  np.testing.assert_allclose(cold, squares / squares.sum(), atol=0.015)


def test_without_a_temperature_the_likeliest_is_taken():
  keys = jax.random.split(jax.random.key(0), 1)
  assert sample(LOGITS, Sampling(), keys).tolist() == [1]


@pytest.mark.parametrize(
  ("options", "message"),
  [
    ({"temperature": -1}, "temperature=-1 must be 0 or more"),
    ({"temperature": 1.0, "top_k": -1}, "top_k=-1"),
    ({"temperature": 1.0, "top_p": 0.0}, "top_p=0.0 is a share"),
    ({"top_p": 0.5}, "temperature=0 draws nothing"),
  ],
)
def test_a_value_that_means_nothing_is_refused(options, message):
  with pytest.raises(UserError, match=message):
    Sampling(**options)
