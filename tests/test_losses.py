import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import log_softmax

from jft import losses

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
