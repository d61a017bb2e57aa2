import jax
import numpy as np
import pytest

import small
from jft import evaluation, tasks
from jft.errors import UserError
from jft.step import make_eval_step

NET = small.net()
STEP = jax.jit(make_eval_step(NET.apply, tasks.classification()))
WHOLE = small.batch(rows=21)


def batches(size):
  for start in range(0, 21, size):
    rows = {name: x[start : start + size] for name, x in WHOLE.items()}
    short = size - len(rows["id"])
    yield {
      name: np.concatenate([x, np.zeros((short, *x.shape[1:]), x.dtype)])
      for name, x in rows.items()
    }


@pytest.mark.parametrize("size", [1, 8, 16, 21, 32])
def test_any_batch_size_gives_the_same_means(size):
  logits = np.asarray(NET.apply(NET.variables, WHOLE["image"])["logits"])
  right = logits.argmax(-1) == WHOLE["label"]
  got = evaluation.predict(STEP, NET.variables, batches(size))
  assert got.id.tolist() == list(range(21))
  assert got.means["accuracy"] == right.mean()
  np.testing.assert_allclose(got.logits, logits, rtol=1e-4, atol=1e-5)
  log_z = np.log(np.exp(logits.astype(np.float64)).sum(-1))
  want = (log_z - logits[np.arange(21), WHOLE["label"]]).mean()
  assert got.means["loss"] == pytest.approx(want, rel=1e-5)


def test_an_empty_split_is_an_error():
  with pytest.raises(UserError, match="split is empty"):
    evaluation.predict(STEP, NET.variables, [])
