"""Readers of weights that are neither torch's nor safetensors."""

import contextlib
import io
import pathlib
import zipfile

import numpy as np
from chaos.reader import Reader, saving
from chaos.weights import read_all
from flax import serialization
from test_pretrained_formats_llama2c import version0, version1, version2

from jft import families
from jft.errors import UserError
from jft.pretrained import hub
from jft.pretrained.formats import sstable, tensor_bundle

FORMATS = pathlib.Path(__file__).parent.parent / "golden" / "formats"


def npz_files() -> list[bytes]:
  arrays = {
    "a/b": np.arange(6, dtype=np.float32).reshape(2, 3),
    "c": np.asfortranarray(np.ones((3, 2), np.float16)),
    "d": np.zeros((0, 2), ">i8"),
  }
  files = []
  for save in (np.savez, np.savez_compressed):
    save(buffer := io.BytesIO(), **arrays)
    files.append(buffer.getvalue())
  return files


NPY = (
  *(b"'|O'", b"'<f8'", b"'<V2'", b"'<M8[ns]'", b"True", b"L", b"(", b"), "),
  *(b"\x93NUMPY\x01\x00", b"\x93NUMPY\x02\x00\xff\xff\xff\xff", b"-1"),
  *(b"9" * 13, b"__import__('os')", b"[('a', '<f4')]", b"PK\x05\x06"),
)


def npy_in_zip(folder: pathlib.Path, data: bytes) -> None:
  path = folder / "x.npz"
  with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
    archive.writestr("a.npy", data)
  read_all(path)


def npy_files() -> list[bytes]:
  files = []
  for name in ("a/b", "c"):
    with zipfile.ZipFile(io.BytesIO(npz_files()[0])) as archive:
      files.append(archive.read(f"{name}.npy"))
  return files


def msgpack_files() -> list[bytes]:
  tree = {
    "params": {
      "a": np.arange(6, dtype=np.float32).reshape(2, 3),
      "b": np.ones(3, np.float16),
    },
    "step": np.int32(3),
    "rate": 0.5,
    "none": None,
  }
  chunked = {
    "__msgpack_chunked_array__": True,
    "shape": {"0": 4},
    "chunks": {"0": np.ones(2, np.float32), "1": np.zeros(2, np.float32)},
  }
  return [
    serialization.msgpack_serialize(value)
    for value in (tree, {"x": chunked, "y": tree})
  ]


MSGPACK = (
  *(bytes([code]) for code in b"\x80\x81\x8f\x90\x91\xa0\xa1\xc0\xc1\xc3"),
  *(b"\xc6\xff\xff\xff\xff", b"\xc9\xff\xff\xff\xff\x01", b"\xc7\x10\x01"),
  *(b"\xdd\xff\xff\xff\xff", b"\xdf\x00\x01\x00\x00", b"\xdb\xff\xff\xff\xff"),
  *(b"\xa6object", b"\xa8bfloat16", b"\xcf" + b"\xff" * 8, b"\x91" * 200),
)


def formats_of(*names: str) -> list[bytes]:
  return [(FORMATS / name).read_bytes() for name in names]


def bundle_data(folder: pathlib.Path) -> None:
  for file in FORMATS.glob("bert_model.ckpt.data*"):
    data = file.name.removeprefix("bert_model.ckpt")
    (folder / f"x.ckpt{data}").write_bytes(file.read_bytes())


def bundle_record(folder: pathlib.Path, data: bytes) -> None:
  """The records behind the index's checksums, which random damage fails."""
  for offset in range(0, len(data), 64):
    with contextlib.suppress(UserError):
      tensor_bundle.entry("x", data[offset:][:64], 1)
  tensor_bundle.entry("x", data, 1)


def records() -> list[bytes]:
  (index,) = formats_of("bert_model.ckpt.index")
  return [value for _, value in sstable.entries(index)][1:4]


def keras_config(folder: pathlib.Path, data: bytes) -> None:
  path = folder / "x.keras"
  with zipfile.ZipFile(path, "w") as archive:
    archive.writestr("config.json", data)
    archive.writestr("model.weights.h5", formats_of("tiny.weights.h5")[0])
  read_all(path)


def keras_configs() -> list[bytes]:
  with zipfile.ZipFile(FORMATS / "tiny.keras") as archive:
    return [archive.read("config.json")]


GGUF = (
  *(bytes([kind, 0, 0, 0]) for kind in range(14)),
  *(b"\x09\0\0\0\x08\0\0\0" + b"\xff" * 8, b"GGUF\x03\0\0\0", b"\xff" * 8),
)


def gguf_files() -> list[bytes]:
  names = ("llama.gguf", "qwen2.gguf")
  return [(FORMATS.parent / "gguf" / name).read_bytes() for name in names]


def settings_and_tensors(path: pathlib.Path) -> None:
  """All that a load asks of a file that says what it is."""
  found = hub.locate(path)
  if found.config:
    families.recognise(found.config)
  read_all(path)


READERS = (
  Reader(
    "GGUF",
    gguf_files,
    saving("x.gguf", settings_and_tensors),
    "bytes",
    GGUF,
    4000,
  ),
  Reader(
    "llama2.c",
    lambda: [version0(), version0(False), version1(), version2(False)],
    saving("x.bin", settings_and_tensors),
    inputs=4000,
  ),
  Reader("npz", npz_files, saving("x.npz", read_all), inputs=5000),
  Reader("npz: npy", npy_files, npy_in_zip, "bytes", NPY, 5000),
  Reader(
    "Flax msgpack",
    msgpack_files,
    saving("x.msgpack", read_all),
    "bytes",
    MSGPACK,
    8000,
  ),
  Reader(
    "TensorFlow index",
    lambda: formats_of("bert_model.ckpt.index"),
    saving("x.ckpt.index", read_all),
    inputs=5000,
    prepare=bundle_data,
  ),
  Reader("TensorFlow record", records, bundle_record, inputs=5000),
  Reader(
    "Keras h5",
    lambda: formats_of("tiny.h5", "tiny.weights.h5", "keras2.h5"),
    saving("x.h5", read_all),
    inputs=5000,
  ),
  Reader("Keras config", keras_configs, keras_config, "json", inputs=1500),
)
