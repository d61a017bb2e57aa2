import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jft import siamese

IDS = np.array([[[1, 2], [2, 1]], [[3, 0], [0, 0]]])
TABLE = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)


def apply(variables, inputs, *, mutable=False, train=False):
  assert inputs["input_ids"].shape == (4, 2)
  features = variables["table"][inputs["input_ids"]].mean(1)
  outputs = {"features": features, "hidden": features}
  return outputs if mutable is False else (outputs, {"seen": 1})


def test_the_logit_is_the_cosine_of_the_features():
  outputs = siamese.cosine(apply)({"table": TABLE}, {"input_ids": IDS})
  x = TABLE[IDS].mean(2).astype(np.float64)
  want = (x[:, 0] * x[:, 1]).sum(-1) / np.prod(np.linalg.norm(x, axis=-1), -1)
  np.testing.assert_allclose(outputs["logits"][:, 0], want, rtol=1e-5)
  assert outputs["logits"][0, 0] == pytest.approx(1.0, rel=1e-6)
  assert outputs["features"].shape == (2, 2, 5)


def test_collections_come_back():
  of_pairs = siamese.cosine(apply)
  _, found = of_pairs({"table": TABLE}, {"input_ids": IDS}, mutable=[])
  assert found == {"seen": 1}


def test_features_of_zero_have_a_gradient():
  def cosine(table):
    return siamese.cosine(apply)({"table": table}, {"input_ids": IDS})["logits"]

  grad = jax.grad(lambda t: cosine(t).sum())(jnp.zeros_like(TABLE))
  assert np.isfinite(grad).all()
