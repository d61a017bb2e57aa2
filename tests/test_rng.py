import jax
import numpy as np

from jft import rng


def test_keys_are_functions_of_their_names():
  def draw(*args, name="dropout"):
    return float(jax.random.uniform(rng.at(rng.key(0, name), *args)))

  assert draw(3, 0) == draw(3, 0)
  assert len({draw(3, 0), draw(4, 0), draw(3, 1), draw(3, 0, name="x")}) == 4


def test_the_stream_is_the_same_in_every_process():
  # Python's hash() is salted; these literals would change with it.
  assert rng.generator(0, "order", 1).integers(1000, size=3).tolist() == [
    712,
    952,
    789,
  ]
  key = jax.random.key_data(rng.key(7, "init"))
  assert np.asarray(key).tolist() == [84463273, 254242907]
