"""A batch's changes hang on the step and the example, on nothing else."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jft import augment, optim, parallel, tasks
from jft.augment import ops
from jft.errors import UserError
from jft.state import TrainState
from jft.step import Hooks, make_train_step
from jft.tuning import freeze

OPS = [ops.flip(), ops.pad_crop(1), ops.color_jitter(0.4, 0, 0, 0)]
MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)
KEY = jax.random.key(5)


def batch(rows=16):
  rng = np.random.default_rng(0)
  image = (rng.random((rows, 6, 6, 3), np.float32) - MEAN) / STD
  return {
    "image": image.astype(np.float32),
    "label": (np.arange(rows) % 3).astype(np.int32),
    "mask": np.ones(rows, np.float32),
    "id": np.arange(rows, dtype=np.int32) + 7,
  }


def test_an_example_sees_the_same_in_any_batch_and_any_row():
  change = jax.jit(augment.on_images(OPS, mean=MEAN, std=STD))
  given = batch()
  whole = np.asarray(change(KEY, given)["image"])
  order = np.random.default_rng(1).permutation(16)
  shuffled = change(KEY, {name: x[order] for name, x in given.items()})
  np.testing.assert_allclose(shuffled["image"], whole[order], atol=1e-6)
  other = np.asarray(change(jax.random.key(6), given)["image"])
  assert (other != whole).any((1, 2, 3)).all()


def test_no_op_gives_the_batch_back_and_normalisation_is_undone():
  given = batch()
  same = augment.on_images([], mean=MEAN, std=STD)(KEY, given)
  np.testing.assert_allclose(same["image"], given["image"], atol=1e-6)
  negative = augment.on_images([ops.invert(1.0)], mean=MEAN, std=STD)(
    KEY, given
  )
  shown = np.asarray(negative["image"]) * STD + MEAN
  np.testing.assert_allclose(
    shown, 1 - (given["image"] * STD + MEAN), atol=1e-5
  )


def test_a_chain_gives_each_a_key_of_its_own():
  keys = []

  def seen(key, batch):
    keys.append(jax.random.key_data(key).tolist())
    return batch

  augment.chain(seen, seen)(KEY, {})
  assert keys[0] != keys[1]


def test_batches_without_images_are_refused():
  with pytest.raises(UserError, match="no image in the batch"):
    augment.on_images([ops.flip()])(KEY, {"input_ids": 1})


def linear(variables, inputs, *, train=False, mutable=(), **_):
  flat = inputs.reshape(len(inputs), -1)
  outputs = {"logits": flat @ variables["params"]["head"]["kernel"]}
  return (outputs, {}) if mutable is not None and train else outputs


def trained(steps=3, accumulate=1, devices=1, **mixing):
  changes = [augment.on_images(OPS, mean=MEAN, std=STD)]
  if mixing:
    changes.append(augment.mix(classes=3, **mixing))
  params = {"head": {"kernel": jnp.zeros((108, 3))}}
  net = dataclasses.make_dataclass("N", ["variables", "params"])(
    {"params": params}, params
  )
  labels = freeze.label(params, freeze.full(params))
  tx = optim.by_label({"head": optax.sgd(0.1)}, labels)
  traces = []

  def counted(key, batch):
    traces.append(1)
    return augment.chain(*changes)(key, batch)

  step = make_train_step(
    linear,
    tasks.classification(),
    tx,
    accumulate=accumulate,
    hooks=Hooks(augment=counted),
  )
  mapped = parallel.pmap(step, parallel.data_mesh(jax.devices()[:devices]))
  state = mapped.replicate(TrainState.create(net, labels, tx))
  for _ in range(steps):
    state, metrics = mapped(state, batch())
  return np.asarray(state.params["head"]["kernel"]), metrics, len(traces)


def test_devices_and_accumulation_change_nothing_and_it_is_traced_once():
  one, _, traces = trained()
  assert traces == 1
  other = trained(accumulate=2, devices=4)[0]
  np.testing.assert_allclose(other, one, atol=1e-6)


def test_mixed_labels_are_trained_on_in_parts():
  params, metrics, _ = trained(steps=1, accumulate=4, mixup=0.4, cutmix=1.0)
  assert float(metrics["loss"]) == pytest.approx(np.log(3))  # of a head of 0
  assert 0 <= float(metrics["accuracy"]) <= 1
  # The gradient of softmax's loss: every class's column cancels the others.
  np.testing.assert_allclose(params.sum(1), 0, atol=1e-6)
  assert np.abs(params).max() > 1e-3
