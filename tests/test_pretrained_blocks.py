"""Tensors in blocks of rows: what NumPy makes of the whole, from real files."""

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy
from jax import ShapeDtypeStruct
from test_pretrained_formats_torch_pickle import tensor, torch_zip

from jft.errors import UserError
from jft.pretrained import blocks, formats, values
from jft.pretrained.adapt import adapt
from jft.pretrained.layouts import Entry, Part, View

SHAPE = 50, 4, 3, 5  # 60 values a row
FLAT = View((50, 60), SHAPE)
CASES = [
  (SHAPE, Entry("w", "conv"), (2, 3, 1, 0)),
  (SHAPE, Entry("w"), (0, 1, 2, 3)),
  ((50, 60), Entry("w", "dense"), (1, 0)),
  ((50, 60), Entry("w", "conv", view=FLAT), (2, 3, 1, 0)),
]


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
  monkeypatch.setattr(blocks, "LARGE", 1_000)
  monkeypatch.setattr(blocks, "BLOCK", 1_000)
  monkeypatch.setattr(blocks, "ROWS", 4)  # 240 bytes each; 13 blocks of 50


@pytest.fixture
def drawn() -> np.ndarray:
  return np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)


def write(folder, values_: np.ndarray, kind: str):
  if kind == "safetensors":
    path = folder / "w.safetensors"
    safetensors.numpy.save_file({"w": values_}, path)
    return path
  strides = tuple(n // 4 for n in values_.strides)
  data = tensor(numel=values_.size, shape=values_.shape, strides=strides)
  data = data.replace(b"X\x01\x00\x00\x00a", b"X\x01\x00\x00\x00w")
  return torch_zip(folder / "w.pth", data, {"0": values_.ravel("K").tobytes()})


@pytest.mark.parametrize("kind", ["safetensors", "torch"])
@pytest.mark.parametrize(("shape", "entry", "axes"), CASES)
@pytest.mark.parametrize("dtype", [np.float32, ml_dtypes.bfloat16])
def test_blocks_make_the_whole(
  tmp_path, drawn, kind, shape, entry, axes, dtype
):
  source = formats.read(write(tmp_path, drawn.reshape(shape), kind))
  want = drawn.reshape(shape if entry.view is None else SHAPE).transpose(axes)
  spec = ShapeDtypeStruct(want.shape, dtype)
  made, _ = adapt({"w": spec}, source, {"w": entry}, [], initial={})
  assert made["w"].tobytes() == np.ascontiguousarray(want, dtype).tobytes()
  needed = entry.layout != "same" or dtype != np.float32
  assert (blocks.reader(source, entry, spec) is not None) == needed


@pytest.mark.parametrize(("nbytes", "rows"), [(1, 4), (1_000, 4), (2_500, 8)])
def test_short_rows_make_blocks_of_more(
  tmp_path, drawn, monkeypatch, nbytes, rows
):
  monkeypatch.setattr(blocks, "BLOCK", nbytes)
  source = formats.read(write(tmp_path, drawn, "safetensors"))
  spec = ShapeDtypeStruct((3, 5, 4, 50), np.float32)
  read = blocks.reader(source, Entry("w", "conv"), spec)
  assert read is not None
  sizes = [block.shape[-1] for block in read]
  assert sizes == [rows] * (50 // rows) + [2]


@pytest.mark.parametrize(
  "entry", [Entry("w", "conv", Part(0, 2)), Entry("w", rotary=5)]
)
def test_parts_and_turned_rows_are_read_whole(tmp_path, drawn, entry):
  source = formats.read(write(tmp_path, drawn, "safetensors"))
  spec = ShapeDtypeStruct(SHAPE, ml_dtypes.bfloat16)
  assert blocks.reader(source, entry, spec) is None
  assert blocks.reader({"w": drawn}, Entry("w", "conv"), spec) is None


def test_values_of_torch_that_lie_out_of_turn(tmp_path, drawn):
  source = formats.read(write(tmp_path, drawn.transpose(1, 0, 2, 3), "torch"))
  assert source.blocks is not None
  (block,) = source.blocks("w", 4)
  np.testing.assert_array_equal(block, drawn.transpose(1, 0, 2, 3))


def test_a_damaged_block_is_found(tmp_path, drawn):
  path = write(tmp_path, drawn, "torch")
  source = formats.read(path)
  data = bytearray(path.read_bytes())
  at = data.index(drawn.tobytes()) + drawn.nbytes - 2
  data[at] ^= 1
  path.write_bytes(data)
  target = {"w": ShapeDtypeStruct((3, 5, 4, 50), np.float32)}
  with pytest.raises(UserError, match="checksum"):
    adapt(target, source, {"w": Entry("w", "conv")}, [], initial={})


@pytest.mark.parametrize("row", [0, 49])
def test_bad_values_are_counted_over_all_blocks(row):
  array = np.zeros((50, 60), np.float32)
  array[[row, 25], 0] = np.nan
  parts = (array[at : at + 4].T for at in range(0, 50, 4))
  with pytest.raises(UserError, match="w: 2 of 3000 values are NaN"):
    values.cast_blocks("w", parts, (60, 50), np.float32, 1)


def test_kinds_that_differ_overflow_and_lost_rows():
  big, whole = np.full((2, 3), 1e9, np.float32), np.zeros((2, 3), np.int32)
  with pytest.raises(UserError, match=r"w: 6 of 6 values .* after"):
    values.cast_blocks("w", [big], (2, 3), np.float16, 0)
  with pytest.raises(UserError, match="holds int32, the model float32"):
    values.cast_blocks("w", [whole], (2, 3), np.float32, 0)
  with pytest.raises(UserError, match="2 rows were read, expected 4"):
    values.cast_blocks("w", [big], (4, 3), np.float32, 0)
