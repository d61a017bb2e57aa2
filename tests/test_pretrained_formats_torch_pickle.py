"""Weights files that nobody honest wrote: refused, nothing called."""

import os
import pathlib
import pickle
import struct
import time
import tracemalloc
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jft.errors import UserError
from jft.pretrained import formats

GOLDEN = pathlib.Path(__file__).parent / "golden" / "torch"


def torch_zip(
  path: pathlib.Path,
  data: bytes,
  storages: dict[str, bytes] | None = None,
  compress: int = zipfile.ZIP_STORED,
) -> pathlib.Path:
  with zipfile.ZipFile(path, "w", compress) as archive:
    archive.writestr("x/data.pkl", data)
    for key, content in (storages or {"0": bytes(24)}).items():
      archive.writestr(f"x/data/{key}", content)
  return path


def tensor(
  *,
  numel: int = 6,
  offset: int = 0,
  shape: tuple = (2, 3),
  strides: tuple = (3, 1),
  key: str = "0",
) -> bytes:
  """A pickle of {"a": tensor}, with the numbers given."""

  def push(value) -> bytes:
    return pickle.dumps(value, protocol=2)[2:-1]

  return (
    b"\x80\x02}"
    + push("a")
    + b"ctorch._utils\n_rebuild_tensor_v2\n(("
    + push("storage")
    + b"ctorch\nFloatStorage\n"
    + push(key)
    + push("cpu")
    + push(numel)
    + b"tQ"
    + push(offset)
    + push(shape)
    + push(strides)
    + b"\x89}tRs."
  )


class Evil:
  def __init__(self, function, *args):
    self.call = function, args

  def __reduce__(self):
    return self.call


def test_the_hand_made_pickle_is_itself_good(tmp_path):
  values = np.arange(6, dtype=np.float32)
  path = torch_zip(tmp_path / "x.pth", tensor(), {"0": values.tobytes()})
  np.testing.assert_array_equal(formats.read(path)["a"], values.reshape(2, 3))


@pytest.mark.parametrize("protocol", [2, 4])
def test_no_call_of_a_hostile_pickle_is_made(tmp_path, protocol):
  touched = tmp_path / "touched"
  calls = {
    r"posix\.system|nt\.system": Evil(os.system, f"touch {touched}"),
    r"eval": Evil(eval, f"open({str(touched)!r}, 'w')"),
    r"exec": Evil(exec, f"open({str(touched)!r}, 'w')"),
    r"getattr": Evil(getattr, Evil(__import__, "os"), "system"),
    r"open": Evil(open, str(touched), "w"),
  }
  for name, evil in calls.items():
    data = pickle.dumps({"a": evil}, protocol=protocol)
    path = torch_zip(tmp_path / "evil.pth", data)
    with pytest.raises(UserError, match=rf"evil\.pth.*({name})"):
      formats.read(path)
    legacy = b"".join(
      pickle.dumps(part, protocol=2)
      for part in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})
    )
    path.write_bytes(legacy + data)
    with pytest.raises(UserError, match=rf"evil\.pth.*({name})"):
      formats.read(path)
  assert not touched.exists()


OS_SYSTEM = b"cos\nsystem\n"
# Sixty nested pairs of the same tuple: 2**60 steps to hash, to print, to copy.
NESTED = b")" + b"q\x00h\x00\x86" * 60
HOSTILE = {
  "load_from_bytes": (b"ctorch.storage\n_load_from_bytes\n.", "_load_from_byt"),
  "numpy fromfile": (b"cnumpy\nfromfile\n.", "numpy.fromfile"),
  "dotted name": (b"ctorch\n_utils.os.system\n.", "os.system"),
  "inst": (b"(S'id'\nios\nsystem\n.", "opcode"),
  "obj": (b"(" + OS_SYSTEM + b"o.", "os.system"),
  "extension registry": (b"\x82\x01.", "opcode"),
  "build on a function": (
    b"ccollections\nOrderedDict\n}b.",
    "sets attributes",
  ),
  "call of a dtype": (b"ctorch\nfloat32\n)R.", "may not be called"),
  "call of a list": (b"])R.", "may not be called"),
  "new of a list": (b"])\x81.", "may not be called"),
  "call without tuple": (
    b"ccollections\nOrderedDict\n]R.",
    "may not be called",
  ),
  "wrong arguments": (b"ctorch\nSize\nK\x01K\x02\x86R.", "does not take"),
  "bytes of 2**62": (b"\x8e" + struct.pack("<Q", 2**62) + b".", "truncated"),
  "text of 2**62": (b"\x8d" + struct.pack("<Q", 2**62) + b".", "truncated"),
  "negative text": (b"T" + struct.pack("<i", -1) + b".", "expected -1"),
  "bytearray": (b"\x96" + struct.pack("<Q", 2**62) + b".", "opcode"),
  "long of 2 GB": (b"\x8b" + struct.pack("<i", 2**31 - 1) + b".", "opcode"),
  "a million marks": (b"(" * 1_000_000, "nested too deeply"),
  "empty stack": (b"a.", "empty stack"),
  "unset memory": (b"h\x07.", "memory 7"),
  "no end": (b"}", "truncated"),
  "endless name": (b"c" + b"a" * 10_000, "longer than"),
  "not a mapping": (b"].", "got a list"),
  "name that prints for ages": (NESTED + b"U\x01a\x93.", "other than text"),
  "one list to many calls": (
    b"]("
    + b"N" * 2000
    + b"eq\x000"
    + b"ctorch\nSize\nh\x00\x85R0" * 2500
    + b".",
    "copies more than",
  ),
  "storage of many parts": (
    b"(U\x07storagectorch\nFloatStorage\nU\x010U\x03cpuK\x01NNtQ.",
    "no storage",
  ),
  "itself": (b"}q\x00U\x05modelh\x00s.", "expected a state dict"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_opcodes_are_refused(case, tmp_path):
  data, reason = HOSTILE[case]
  path = torch_zip(tmp_path / "x.pth", data)
  with pytest.raises(UserError, match=r"x\.pth") as caught:
    formats.read(path)
  assert reason in str(caught.value)


def test_a_key_that_hashes_for_ages_is_refused_at_once(tmp_path):
  data = b"}" + NESTED + b"Ns."
  start = time.monotonic()
  with pytest.raises(UserError, match="uses a tuple as a key"):
    formats.read(torch_zip(tmp_path / "x.pth", data))
  assert time.monotonic() - start < 5


def legacy(*parts: bytes) -> bytes:
  magic = b"\x80\x02\x8a\x0a" + 0x1950A86A20F9469CFC6C.to_bytes(10, "little")
  return magic + b"." + b"".join(parts)


@pytest.mark.parametrize(
  ("parts", "reason"),
  [
    ([NESTED + b".", b"}."], "legacy format tuple, known is 1001"),
    (
      [
        b"M\xe9\x03.",
        b"}U\x0dlittle_endian\x88s.",
        b"}.",
        b"]" + NESTED + b"a.",
      ],
      "a storage is named by a tuple",
    ),
  ],
)
def test_nothing_of_a_legacy_file_is_printed_for_ages(parts, reason, tmp_path):
  path = tmp_path / "x.pth"
  path.write_bytes(legacy(*parts, b"}."))
  with pytest.raises(UserError, match=rf"x\.pth: .*{reason}"):
    formats.read(path)


def test_a_pickle_that_inflates_a_thousandfold_is_refused(tmp_path):
  # 4 kB of 4,000,000 empty dicts.
  data = b"}" * 4_000_000
  path = torch_zip(tmp_path / "x.pth", data, compress=zipfile.ZIP_DEFLATED)
  assert path.stat().st_size < 5000
  with pytest.raises(UserError, match=r"inflates from \d+ to 4000000 bytes"):
    formats.read(path)


def test_deep_nesting_is_harmless(tmp_path):
  data = b"}U\x01a" + b"]" * 100_000 + b"a" * 99_999 + b"s."
  with pytest.raises(UserError, match="'a' is a list"):
    formats.read(torch_zip(tmp_path / "x.pth", data))


@pytest.mark.parametrize(
  ("change", "reason"),
  [
    ({"offset": 1}, "beyond its storage"),
    ({"strides": (4, 1)}, "beyond its storage"),
    ({"strides": (-3, 1)}, "impossible size"),
    ({"offset": -1}, "impossible size"),
    ({"shape": (2, -3)}, "impossible size"),
    ({"shape": (2, True)}, "impossible size"),
    ({"shape": (2.0, 3)}, "impossible size"),
    ({"shape": (2, 3, 1)}, "3 axes"),
    ({"shape": (2**40, 2**40), "strides": (0, 0)}, "would take"),
    ({"shape": (2**60, 1), "strides": (0, 0)}, "impossible size"),
    ({"shape": (0, 2**40), "strides": (1, 1)}, "would take"),
    ({"shape": (1,) * 40, "strides": (1,) * 40}, "40 axes"),
    ({"numel": 5}, "beyond its storage"),
    ({"numel": 7}, "should take 28 bytes, got 24"),
    ({"numel": 2**40, "offset": 2**39}, "should take"),
    ({"numel": -6}, "impossible size"),
    ({"key": "../../x/data.pkl"}, "no storage"),
    ({"key": "/etc/passwd"}, "no storage"),
  ],
)
def test_impossible_tensors_are_refused(change, reason, tmp_path):
  path = torch_zip(tmp_path / "x.pth", tensor(**change))
  with pytest.raises(UserError, match=r"x\.pth") as caught:
    formats.read(path)
  assert reason in str(caught.value)


def test_python_2_strings_and_opaque_objects_are_read(tmp_path):
  # U is how Python 2 wrote names; argparse.Namespace stands for itself.
  inner = tensor()[2:-1]
  data = (
    b"}(U\x04argscargparse\nNamespace\n)\x81}U\x02lrG?\xb9\x99\x99\x99\x99\x99"
    b"\x9asbU\x05model" + inner + b"u."
  )
  assert list(formats.read(torch_zip(tmp_path / "x.pth", data))) == ["a"]


def test_deflated_entries_are_read_up_to_a_limit(tmp_path):
  deflated = zipfile.ZIP_DEFLATED
  small = torch_zip(tmp_path / "a.pth", tensor(), compress=deflated)
  np.testing.assert_array_equal(formats.read(small)["a"], np.zeros((2, 3)))
  bomb = {"0": bytes(24), "1": bytes(65 * 2**20)}
  path = torch_zip(tmp_path / "b.pth", tensor(), bomb, compress=deflated)
  assert path.stat().st_size < 100_000
  with pytest.raises(UserError, match=r"b\.pth.*inflates to 68157440 bytes"):
    formats.read(path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_zip_with_a_name_twice_is_refused(tmp_path):
  path = torch_zip(tmp_path / "x.pth", tensor())
  with zipfile.ZipFile(path, "a") as archive:
    archive.writestr("x/data/0", bytes(24))
  with pytest.raises(UserError, match="'x/data/0' twice"):
    formats.read(path)


def test_an_entry_beyond_the_end_of_the_file_is_refused_at_once(tmp_path):
  claimed = 2**31
  path = torch_zip(tmp_path / "x.pth", tensor(numel=claimed // 4))
  data = bytearray(path.read_bytes())
  at = data.rindex(b"PK\x01\x02") + 20  # both sizes, in the zip's directory
  assert struct.unpack_from("<II", data, at) == (24, 24)
  struct.pack_into("<II", data, at, claimed, claimed)
  path.write_bytes(data)
  with pytest.raises(UserError, match="claims 2147483648 bytes at"):
    formats.read(path)


def test_big_endian_is_refused(tmp_path):
  path = torch_zip(tmp_path / "x.pth", tensor())
  with zipfile.ZipFile(path, "a") as archive:
    archive.writestr("x/byteorder", b"big")
  with pytest.raises(UserError, match="big-endian"):
    formats.read(path)


# --- fuzz --------------------------------------------------------------------

FUZZ = settings(
  max_examples=150,
  deadline=None,
  database=None,
  derandomize=True,
  suppress_health_check=[HealthCheck.function_scoped_fixture],
)
EDITS = st.lists(
  st.tuples(st.integers(0, 2**20), st.integers(0, 255)), min_size=1, max_size=8
)
LIMIT = 96 * 2**20


def mutate(data: bytes, edits: list[tuple[int, int]], cut: int) -> bytes:
  out = bytearray(data)
  for at, byte in edits:
    out[at % len(out)] = byte
  return bytes(out[: len(out) - cut % len(out)] if cut else out)


def read_all(path: pathlib.Path) -> None:
  """Only a UserError or a full read is allowed, in bounded memory."""
  tracemalloc.start()
  try:
    read = formats.read(path)
    for name in read:
      try:
        assert read[name].shape == read.specs[name].shape
      except UserError:
        continue
  except UserError:
    pass
  finally:
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
  assert peak < LIMIT


@FUZZ
@given(
  file=st.sampled_from(
    ["zip.pth", "legacy.pth", "checkpoint_legacy.pth", "half.safetensors"]
  ),
  edits=EDITS,
  cut=st.one_of(st.just(0), st.integers(0, 5000)),
)
def test_mutated_files_never_do_worse_than_a_user_error(
  file, edits, cut, tmp_path
):
  path = tmp_path / "fuzz.bin"
  path.write_bytes(mutate((GOLDEN / file).read_bytes(), edits, cut))
  read_all(path)


@FUZZ
@given(edits=EDITS, cut=st.one_of(st.just(0), st.integers(0, 900)))
def test_mutated_pickles_never_do_worse_than_a_user_error(edits, cut, tmp_path):
  # The pickle alone, in a zip whose checksums are right.
  with zipfile.ZipFile(GOLDEN / "checkpoint.pth") as archive:
    entries = {n: archive.read(n) for n in archive.namelist()}
  path = tmp_path / "fuzz.pth"
  with zipfile.ZipFile(path, "w") as archive:
    for name, content in entries.items():
      if name.endswith("data.pkl"):
        content = mutate(content, edits, cut)
      archive.writestr(name, content)
  read_all(path)
