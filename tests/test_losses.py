import jax
import jax.numpy as jnp
import numpy as np
import pytest
from golden import loss_cases
from scipy.special import log_softmax

from jft import losses
from jft.errors import UserError

LOGITS = np.array([[2.0, -1.0, 0.5], [300.0, 0.0, -300.0]], np.float32)
LABEL = np.array([2, 1], np.int32)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_against_scipy(smoothing):
  target = (1 - smoothing) * np.eye(3)[LABEL] + smoothing / 3
  want = -(target * log_softmax(LOGITS.astype(np.float64), -1)).sum(-1)
  got = losses.softmax_cross_entropy(LOGITS, LABEL, smoothing=smoothing)
  np.testing.assert_allclose(got, want, rtol=1e-6)


def test_half_precision_logits_are_summed_in_float32():
  got = losses.softmax_cross_entropy(jnp.asarray(LOGITS, jnp.bfloat16), LABEL)
  assert got.dtype == jnp.float32
  np.testing.assert_allclose(
    got, losses.softmax_cross_entropy(LOGITS, LABEL), rtol=1e-2
  )


def test_every_loss_is_its_original():
  given = loss_cases.given()
  ours = loss_cases.ours(given)
  assert ours.keys() == loss_cases.ORIGINALS.keys()
  for name, want in loss_cases.ORIGINALS.items():
    got = np.ravel(ours[name])
    assert ours[name].dtype == jnp.float32, name
    np.testing.assert_allclose(got, want, rtol=2e-5, atol=2e-6, err_msg=name)


def test_softmax_focal_in_closed_form():
  log_p = log_softmax(LOGITS.astype(np.float64), -1)[np.arange(2), LABEL]
  want = -((1 - np.exp(log_p)) ** 1.5) * log_p
  got = losses.softmax_focal(LOGITS, LABEL, gamma=1.5)
  np.testing.assert_allclose(got, want, rtol=1e-5)
  shares = np.eye(3, dtype=np.float32)[LABEL]
  np.testing.assert_allclose(
    losses.softmax_focal(LOGITS, shares, gamma=1.5), want, rtol=1e-5
  )
  plain = losses.softmax_cross_entropy(LOGITS, LABEL)
  np.testing.assert_allclose(
    losses.softmax_focal(LOGITS, LABEL, gamma=0.0), plain, rtol=1e-6
  )


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_gradients_are_finite_where_the_model_is_sure(gamma):
  logits = jnp.array([[200.0, -200.0, 0.0], [-200.0, 200.0, 0.0]])

  def total(logits):
    label = jnp.array([0, 0])
    several = jnp.array([[1, 0, 1], [1, 0, 1]])
    return (
      losses.softmax_focal(logits, label, gamma=gamma).sum()
      + losses.sigmoid_focal(logits, several, gamma=gamma).sum()
    )

  assert np.isfinite(jax.grad(total)(logits)).all()


def test_corn_ranks_never_rise():
  logits = np.random.default_rng(0).normal(0, 3, (50, 4)).astype(np.float32)
  above = np.cumprod(1 / (1 + np.exp(-logits.astype(np.float64))), -1) > 0.5
  np.testing.assert_array_equal(losses.corn_rank(logits), above.sum(-1))


def test_padding_is_nobodys_passage():
  x = loss_cases.given()
  mask = np.array([1, 1, 1, 1, 0, 0], np.float32)
  got = losses.multiple_negatives_ranking(
    x["anchor"], x["positive"], negative=x["negative"], mask=mask
  )
  want = losses.multiple_negatives_ranking(
    x["anchor"][:4], x["positive"][:4], negative=x["negative"][:4]
  )
  # Scores up to 20, so a rounding is 1e-6.
  np.testing.assert_allclose(got[:4], want, atol=1e-5)
  assert np.isfinite(got).all()


def test_a_weighted_sum_needs_positive_weights():
  loss = losses.weighted(
    [(losses.squared_error, 1.0), (losses.absolute_error, 0.5)]
  )
  assert loss(jnp.array([3.0]), jnp.array([1.0])).tolist() == [5.0]
  with pytest.raises(UserError, match="must be positive, got -1"):
    losses.weighted([(losses.huber, -1.0)])
  with pytest.raises(UserError, match="at least one"):
    losses.weighted([])
