"""What stands out in weights, planted one by one."""

import ml_dtypes
import numpy as np
import pytest

from jft.insight import oddities
from jft.insight.oddities import Tensor


def draw(*shape, seed=0, scale=1.0):
  rng = np.random.default_rng(seed)
  return (scale * rng.standard_normal(shape)).astype(np.float32)


def said(*tensors):
  """Returns (level, message) of every finding."""
  return [(f.level, f.message) for f in oddities.find(tensors)]


def test_sound_weights_have_nothing():
  assert (
    said(
      Tensor("params/block_00/conv1/kernel", draw(3, 3, 4, 8)),
      Tensor("params/block_00/norm1/scale", draw(8)),
      Tensor("batch_stats/block_00/norm1/var", 1 + draw(8) ** 2),
      Tensor("params/head/kernel", draw(8, 10, seed=1)),
      Tensor("steps", np.zeros(3, np.int64), used=False),
      Tensor("empty", np.zeros((0, 3), np.float32)),
    )
    == []
  )


@pytest.mark.parametrize("dtype", [np.float32, np.float16, ml_dtypes.bfloat16])
def test_values_that_are_none(dtype):
  array = draw(4, 5)
  array[0, :2], array[3, 3] = np.nan, np.inf
  assert said(Tensor("params/head/kernel", array.astype(dtype))) == [
    (
      "error",
      "params/head/kernel: 3 of 20 values are NaN or infinite; the file is"
      " damaged or of a diverged run, and will not load.",
    )
  ]


def test_variances():
  name = "batch_stats/stem/norm/var"
  below = said(Tensor(name, np.float32([1, -0.25, 2])))
  assert below[0] == (
    "error",
    "batch_stats/stem/norm/var: a running variance is -0.25, below zero.",
  )
  flat = said(Tensor(name, np.float32([1, 1e-30, 0, 2])))
  assert flat == [
    (
      "note",
      "channels with a variance below 1e-10 never moved in training:"
      " batch_stats/stem/norm/var (2 of 4).",
    )
  ]
  huge = said(Tensor(name, np.float32([1, 2e7])))
  assert huge == [
    (
      "warning",
      "running variances above 1e6: batch_stats/stem/norm/var (2e+07).",
    )
  ]


def test_zeros_and_constants():
  found = said(
    Tensor("params/a/bias", np.zeros(4, np.float32)),
    Tensor("params/a/kernel", np.zeros((4, 4), np.float32)),
    Tensor("params/a/scale", np.ones(4, np.float32)),
  )
  assert found == [
    (
      "warning",
      "1 all-zero: params/a/kernel; computes nothing until it is trained.",
    ),
    ("note", "1 all-zero: params/a/bias; biases often are."),
    ("note", "1 hold one value alone: params/a/scale (1); untrained?"),
  ]


def test_dead_rows_and_outputs():
  words, kernel = draw(6, 4), draw(3, 3, 2, 5)
  words[[0, 4]] = 0
  kernel[..., 1] = 0
  assert said(
    Tensor("params/embeddings/word/embedding", words),
    Tensor("params/stem/conv/kernel", kernel),
  ) == [
    (
      "note",
      "params/embeddings/word/embedding: 2 of 6 rows are all-zero: 0, 4.",
    ),
    (
      "note",
      "params/stem/conv/kernel: 1 of 5 outputs are all-zero: 1.",
    ),
  ]


def blocks(scales):
  return [
    Tensor(f"params/block_{i:02d}/up/kernel", draw(8, 8, seed=i, scale=scale))
    for i, scale in enumerate(scales)
  ]


def test_a_block_of_another_scale():
  ((level, message),) = said(*blocks([1, 1, 100, 1, 1]))
  assert level == "warning"
  assert message == (
    "params/block_02/up/kernel: values of about 97, where"
    " params/block_*/up/kernel has 0.97."
  )
  assert said(*blocks([1, 2, 10, 1, 0.1])) == []
  assert said(*blocks([1, 100])) == []  # nobody knows which of the two


def test_large_values():
  assert said(Tensor("params/a/kernel", draw(4, 4, scale=1e6)))[0][0] == (
    "warning"
  )


def test_tied_weights_and_biases_that_only_look_it():
  words = draw(5, 3)
  assert said(
    Tensor("params/embeddings/word/embedding", words),
    Tensor("cls.decoder.weight", words.copy(), used=False),
    Tensor("params/block_00/norm2/bias", words[0]),
    Tensor("params/block_00/downsample/norm/bias", words[0]),
    Tensor("params/other/kernel", words.reshape(3, 5)),
  ) == [
    (
      "note",
      "equal value for value, as tied weights are:"
      " params/embeddings/word/embedding, cls.decoder.weight.",
    )
  ]


def test_one_tensor_at_a_time():
  """A tensor is let go before the next one is read."""
  import gc
  import weakref

  alive = []

  def tensors():
    for i in range(4):
      gc.collect()
      assert [ref() for ref in alive if ref() is not None][1:] == []
      array = draw(8, 8, seed=i)
      alive.append(weakref.ref(array))
      yield Tensor(f"params/block_{i:02d}/kernel", array)

  assert oddities.find(tensors()) == []
