"""GGUF: values as ggml's own package gives them; damage is named."""

import pathlib
import struct
import sys

import numpy as np
import pytest

from jft.errors import UserError
from jft.pretrained import formats

gguf = pytest.importorskip("gguf", reason="pip install 'jft[gguf]'")

GOLDEN = pathlib.Path(__file__).parent / "golden" / "gguf"
KINDS = ("Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "BF16", "F16")
VALUES = np.random.default_rng(0).normal(size=(3, 64)).astype(np.float32)


def written(path, kinds=KINDS, arch="llama"):
  writer = gguf.GGUFWriter(path, arch)
  writer.add_tensor("plain", VALUES)
  for name in kinds:
    kind = gguf.GGMLQuantizationType[name]
    data = gguf.quants.quantize(VALUES, kind)
    writer.add_tensor(name, data, raw_dtype=kind)
  writer.write_header_to_file()
  writer.write_kv_data_to_file()
  writer.write_tensors_to_file()
  writer.close()
  return path


def test_every_type_is_what_the_package_makes_of_it(tmp_path):
  read = formats.read(written(tmp_path / "x.gguf"))
  assert list(read) == ["llama/plain", *(f"llama/{name}" for name in KINDS)]
  np.testing.assert_array_equal(read["llama/plain"], VALUES)
  for name in KINDS:
    kind, made = gguf.GGMLQuantizationType[name], read[f"llama/{name}"]
    data = gguf.quants.quantize(VALUES, kind)
    want = gguf.quants.dequantize(data, kind)
    assert made.shape == read.specs[f"llama/{name}"].shape == (3, 64)
    assert made.dtype == read.specs[f"llama/{name}"].dtype
    np.testing.assert_array_equal(made.astype(np.float32), want)
    np.testing.assert_allclose(made.astype(np.float32), VALUES, atol=0.3)


def test_a_type_that_the_package_cannot_read_is_named(tmp_path):
  path = written(tmp_path / "x.gguf", ["Q8_0"])
  data = path.read_bytes()
  at = data.index(b"Q8_0") + 4 + 4 + 16  # behind name and axes
  assert data[at] == gguf.GGMLQuantizationType.Q8_0
  for number, shown in ((9, "Q8_1"), (77, "number 77")):
    path.write_bytes(data[:at] + struct.pack("<I", number) + data[at + 4 :])
    with pytest.raises(UserError, match=f"'Q8_0' is of the type {shown}"):
      formats.read(path)


def test_without_the_package_a_plain_file_is_read_and_others_say_so(
  tmp_path, monkeypatch
):
  plain = written(tmp_path / "plain.gguf", ["F16"])
  packed = written(tmp_path / "packed.gguf", ["Q8_0"])
  monkeypatch.setitem(sys.modules, "gguf", None)
  monkeypatch.setitem(sys.modules, "gguf.constants", None)
  np.testing.assert_array_equal(formats.read(plain)["llama/plain"], VALUES)
  with pytest.raises(UserError, match=r"pip install 'jft\[gguf\]'"):
    formats.read(packed)


def test_a_cut_file_is_refused_wherever_it_is_cut(tmp_path):
  data = (GOLDEN / "qwen2.gguf").read_bytes()
  path = tmp_path / "x.gguf"
  for cut in [*range(0, 5000, 97), len(data) // 2, len(data) - 1000]:
    path.write_bytes(data[:cut])
    with pytest.raises(UserError, match=r"x\.gguf"):
      formats.read(path)


def test_names_without_an_architecture_are_refused(tmp_path):
  path = tmp_path / "x.gguf"
  path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, 0))
  with pytest.raises(UserError, match=r"without general\.architecture"):
    formats.read(path)


def test_what_overlaps_is_refused(tmp_path):
  path = written(tmp_path / "x.gguf", ["Q8_0"])
  data = path.read_bytes()
  at = data.index(b"Q8_0") + 4 + 4 + 16 + 4  # behind name, axes and type
  path.write_bytes(data[:at] + bytes(8) + data[at + 8 :])
  with pytest.raises(UserError, match="overlap"):
    formats.read(path)
