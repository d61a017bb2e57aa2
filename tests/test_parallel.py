import jax
import numpy as np
import optax
import pytest

import small
from jft import optim, parallel, tasks
from jft.errors import UserError
from jft.state import TrainState
from jft.step import make_train_step
from jft.tuning import freeze

NET = small.net()
# Largest relative difference between 1 and 8 devices after 5 steps of SGD:
# only the order of float32 sums differs.
TOLERANCE = 1e-5


def run(mapper, devices, net=NET, steps=5):
  traces = []
  params = net.variables["params"]
  labels = freeze.label(params, freeze.top_blocks(params, 1))
  tx = optim.by_label(
    {"head": optax.sgd(0.1), "backbone": optax.sgd(0.01)}, labels, clip_norm=1.0
  )
  pure = make_train_step(net.apply, tasks.classification(), tx)

  def counted(state, batch, **kwargs):
    traces.append(1)
    return pure(state, batch, **kwargs)

  step = mapper(counted, parallel.data_mesh(jax.devices()[:devices]))
  state = step.replicate(TrainState.create(net, labels, tx))
  for i in range(steps):
    state, metrics = step(state, small.batch(i))
  leaves = jax.tree.leaves((state.params, state.model_state, metrics))
  return [np.asarray(x) for x in leaves], len(traces)


@pytest.fixture(scope="module")
def one_device():
  return run(parallel.pmap, 1)[0]


@pytest.mark.parametrize("mapper", [parallel.pmap, parallel.jit])
def test_eight_devices_agree_with_one(mapper, one_device):
  got, traces = run(mapper, 8)
  for a, b in zip(one_device, got, strict=True):
    np.testing.assert_allclose(a, b, rtol=TOLERANCE, atol=TOLERANCE)
  assert traces == 1


@pytest.mark.parametrize("mapper", [parallel.pmap, parallel.jit])
def test_reruns_are_bitwise_equal_with_dropout(mapper):
  net = small.net(dropout=0.3)
  for a, b in zip(run(mapper, 8, net)[0], run(mapper, 8, net)[0], strict=True):
    np.testing.assert_array_equal(a, b)


def test_dropout_under_jit_does_not_depend_on_the_device_count():
  net = small.net(dropout=0.3)
  for a, b in zip(
    run(parallel.jit, 1, net)[0], run(parallel.jit, 8, net)[0], strict=True
  ):
    np.testing.assert_allclose(a, b, rtol=TOLERANCE, atol=TOLERANCE)


@pytest.mark.parametrize("mapper", [parallel.pmap, parallel.jit])
def test_a_batch_that_does_not_divide(mapper):
  step = mapper(lambda state, batch, **_: (state, {}))
  with pytest.raises(UserError, match=r"12 rows does not divide by 8 devices"):
    step({}, small.batch(rows=12))


def test_a_placed_batch_is_left_alone():
  step = parallel.pmap(lambda state, batch, **_: (state, {}))
  placed = step.place(small.batch())
  assert placed["image"].shape == (8, 2, 5)
  assert step.place(placed) is placed
