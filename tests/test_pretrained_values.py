"""Values cast and laid out, against NumPy's own astype; NaN anywhere."""

from concurrent.futures import ThreadPoolExecutor

import ml_dtypes
import numpy as np
import pytest

from jft.errors import UserError
from jft.pretrained import values
from jft.pretrained.formats import lazy


@pytest.mark.parametrize(
  ("shape", "axes"),
  [
    ((700, 300), (1, 0)),
    ((300, 700), (0, 1)),
    ((130, 70, 3, 3), (2, 3, 1, 0)),
    ((300, 260, 1, 3), (2, 3, 1, 0)),
    ((1, 300, 600), (1, 0, 2)),
    ((2, 600, 300), (0, 2, 1)),
    ((5, 4), (1, 0)),
    ((), ()),
    ((0, 3), (1, 0)),
  ],
)
@pytest.mark.parametrize("dtype", [np.float32, ml_dtypes.bfloat16])
def test_cast_equals_numpy(shape, axes, dtype):
  rng = np.random.default_rng(0)
  array = np.asarray(rng.normal(size=shape), np.float32).transpose(axes)
  made = values.cast("a", array, dtype)
  assert made.dtype == dtype
  assert made.flags.c_contiguous
  assert made.tobytes() == array.astype(dtype, order="C").tobytes()


def test_what_fits_is_not_copied():
  array = np.ones((300, 700), np.float32)
  assert values.cast("a", array, np.float32) is array


def test_mirrored_and_strided_views():
  array = np.arange(400_000, dtype=np.float32).reshape(2, 100, 2000)
  for view in (array[:, :, ::-1], array[::-1], array[:, ::3, ::2]):
    made = values.cast("a", view, np.float32)
    np.testing.assert_array_equal(made, view)
    assert made.flags.c_contiguous


@pytest.mark.parametrize("at", [0, values.PIECE, 3 * values.PIECE - 1])
def test_one_bad_value_anywhere(at):
  array = np.zeros(3 * values.PIECE, np.float32).reshape(3, -1)
  array.reshape(-1)[at] = np.nan
  for view in (array, array.T):
    with pytest.raises(UserError, match="a: 1 of 196608 values are NaN"):
      values.cast("a", view, np.float32)


def test_a_cast_that_overflows_and_kinds_that_differ():
  with pytest.raises(UserError, match="after the cast from float32 to"):
    values.cast("a", np.full(2, 1e9, np.float32), np.float16)
  with pytest.raises(UserError, match="holds int64, the model float32"):
    values.cast("a", np.zeros(2, np.int64), np.dtype(np.float32))


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_of_sixteen_bits_every_value_is_judged_as_numpy_does(dtype):
  every = np.arange(2**16, dtype=np.uint16).view(dtype)
  finite = np.isfinite(every.astype(np.float32))
  bad = int(np.sum(~finite))
  with pytest.raises(UserError, match=f"{bad} of 65536 values are NaN or inf"):
    values.check_finite("w", every, "here")
  values.check_finite("w", every[finite], "here")


@pytest.mark.parametrize("count", [1, 2**20, 2**20 + 3])
def test_room_for_a_leaf_begins_where_jax_wants_it(count):
  made = lazy.aligned((count, 1), np.float32)
  assert made.shape == (count, 1)
  assert made.ctypes.data % lazy.ALIGNMENT == 0
  made[...] = 1
  assert made.sum() == count


def test_memory_for_blocks_is_a_threads_own():
  mine = lazy.lent(lazy.LENT)
  assert np.shares_memory(mine, lazy.lent(7))
  assert lazy.lent(lazy.LENT + 1).size == lazy.LENT + 1
  assert not np.shares_memory(mine, lazy.lent(lazy.LENT + 1))
  with ThreadPoolExecutor(1) as pool:
    theirs = pool.submit(lazy.lent, 7).result()
  assert not np.shares_memory(mine, theirs)


def test_a_block_that_ends_early_in_memory_that_was_used_before(tmp_path):
  path = tmp_path / "bytes"
  path.write_bytes(b"abcdef")
  assert lazy.read_span(path, 0, 6, lazy.lent).tobytes() == b"abcdef"
  assert lazy.read_span(path, 4, 2, lazy.lent).tobytes() == b"ef"
  with pytest.raises(UserError, match="expected 6 bytes at 4, got 2"):
    lazy.read_span(path, 4, 6, lazy.lent)
