from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from jft.data import arrays
from jft.data.examples import FixedExamples
from jft.errors import UserError

SOURCE = arrays(
  {"x": np.arange(10), "label": np.arange(10) % 3}, name="s", label_names="abc"
)


def _encode(example):
  return {"x": np.full((2,), example["x"], np.float32)}


@pytest.mark.parametrize("cache_mb", [0, 1])
@pytest.mark.parametrize("threads", [0, 4])
def test_rows_are_stacked_cached_or_not_threaded_or_not(cache_mb, threads):
  examples = FixedExamples(SOURCE, _encode, cache_mb)
  assert examples.cached == bool(cache_mb)
  for indices in ([3, 3, 9], [9, 0, 1]):
    with ThreadPoolExecutor(max(1, threads)) as pool:
      run = pool.map if threads else map
      got = examples.take(np.array(indices), run=run)
    assert got["x"].tolist() == [[i, i] for i in indices]
    assert got["label"].tolist() == [i % 3 for i in indices]
    assert (got["x"].dtype, got["label"].dtype) == (np.float32, np.int32)


def test_a_cached_example_is_encoded_once():
  seen = []

  def encode(example):
    seen.append(int(example["x"]))
    return _encode(example)

  examples = FixedExamples(SOURCE, encode, cache_mb=1)
  for _ in range(3):
    examples.take(np.array([4, 5, 4]))
  assert seen == [0, 4, 5]  # 0 for the shapes


def test_what_a_batch_holds_can_be_changed_without_harm():
  examples = FixedExamples(SOURCE, _encode, cache_mb=1)
  examples.take(np.array([4]))["x"][:] = -1
  assert examples.take(np.array([4]))["x"].tolist() == [[4, 4]]


def test_an_exception_of_encode_names_the_example():
  def encode(example):
    if example["x"] == 7:
      raise ZeroDivisionError("oops")
    return _encode(example)

  examples = FixedExamples(SOURCE, encode, cache_mb=1)
  with pytest.raises(ZeroDivisionError, match="oops") as caught:
    examples.take(np.array([6, 7]))
  assert caught.value.__notes__ == ["in example 7 of s"]


def test_a_user_error_of_encode_names_the_example():
  def encode(example):
    if example["x"] == 7:
      raise UserError("too small.")
    return _encode(example)

  examples = FixedExamples(SOURCE, encode, cache_mb=0)
  with pytest.raises(UserError, match="example 7 of s: too small"):
    examples.take(np.array([6, 7]))


def test_one_shape_for_all():
  examples = FixedExamples(SOURCE, lambda e: {"x": np.zeros(e["x"])}, 1)
  with pytest.raises(UserError, match=r"example 2 of s has shapes.*\(2,\)"):
    examples.take(np.array([2]))


def test_encode_may_not_return_our_names():
  with pytest.raises(UserError, match=r"\['label'\]"):
    FixedExamples(SOURCE, lambda e: {"label": 0}, 1)


def test_labels_of_any_source_are_checked():
  class Bad(list):
    name, label_names = "bad", ("no", "yes")

  source = Bad([{"x": 0, "label": 0}, {"x": 1, "label": 2}])
  with pytest.raises(
    UserError, match=r"example 1 of bad has label 2.*2 classes"
  ):
    FixedExamples(source, _encode, 1).take(np.array([1]))
