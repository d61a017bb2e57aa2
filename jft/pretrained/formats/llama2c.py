"""llama2.c's `.bin`: a header of seven integers, then plain float32 tensors.

Version 0 has no name of its own: seven int32 and the tensors, the rotary tables
among them. Versions 1 and 2 begin with "ak42" and a header of 256 bytes; in
version 2 the matrices are int8 with a float32 scale for each group of values.

The tensors get the names of llama2.c's own model.py, and the settings the
spelling of transformers' config.json.

Source: llama2.c, export.py (legacy_export, version1_export, version2_export)
and run.c.
"""

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jft.errors import UserError
from jft.pretrained.formats.lazy import Tensors, read_span

MAGIC = struct.pack("<I", 0x616B3432)  # "ak42", as an integer
HEADER = struct.Struct("<7i")
LONG_HEADER = 256  # bytes, of versions 1 and 2
THETA = 10_000.0  # of the rotary embedding; run.c knows no other
EPSILON = 1e-5

# Far beyond any model: what is larger is no llama2.c file.
_MOST = (2**16, 2**18, 2**10, 2**10, 2**10, 2**22, 2**22)
FIELDS = (
  *("dim", "hidden_dim", "n_layers", "n_heads", "n_kv_heads", "vocab_size"),
  "max_seq_len",
)
_MATRICES = (
  *("attention.wq", "attention.wk", "attention.wv", "attention.wo"),
  *("feed_forward.w1", "feed_forward.w2", "feed_forward.w3"),
)


@dataclass(frozen=True)
class Header:
  """What a file says of its model; `start` is where the tensors begin.

  Attributes:
    group: of version 2: how many values share a scale.
  """

  version: int
  dim: int
  hidden_dim: int
  n_layers: int
  n_heads: int
  n_kv_heads: int
  vocab_size: int
  max_seq_len: int
  tied: bool
  start: int = HEADER.size
  group: int = 0


@dataclass(frozen=True)
class Place:
  """Where a tensor lies; one with a `group` is int8, its scales behind it."""

  offset: int
  shape: tuple[int, ...]
  group: int = 0

  @property
  def nbytes(self) -> int:
    size = math.prod(self.shape)
    return size + 4 * (size // self.group) if self.group else 4 * size


def fits(head: bytes) -> bool:
  """Whether a file that begins so is llama2.c's.

  Args:
    head: its first bytes, 28 or more.
  """
  if head.startswith(MAGIC):
    return True
  if len(head) < HEADER.size:
    return False
  return problem(HEADER.unpack(head[: HEADER.size])) is None


def read(path: str | Path) -> Tensors:
  """Reads the header now and each tensor when it is asked for.

  Args:
    path: what llama2.c's export.py wrote, of version 0, 1 or 2. The matrices of
      version 2 come as float32.

  Raises:
    UserError: if the file is not as long as its header says, of a version that
      is not known, or holds other rotary tables than run.c computes with.
  """
  path = Path(path)
  header = _header(path)
  places = _places(path, header)
  specs = {
    name: jax.ShapeDtypeStruct(place.shape, np.float32)
    for name, place in places.items()
  }
  return Tensors(specs, lambda name: _load(path, places[name]))


def config(path: str | Path) -> dict[str, Any]:
  """Returns the settings as transformers' config.json spells them.

  Args:
    path: as for `read`.

  Raises:
    UserError: for a header that is damaged or not known.

  Source: llama2.c, export.py, hf_export.
  """
  return settings(_header(Path(path)))


def settings(header: Header) -> dict[str, Any]:
  """Returns the same of a header."""
  return {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "vocab_size": header.vocab_size,
    "hidden_size": header.dim,
    "intermediate_size": header.hidden_dim,
    "num_hidden_layers": header.n_layers,
    "num_attention_heads": header.n_heads,
    "num_key_value_heads": header.n_kv_heads,
    "max_position_embeddings": header.max_seq_len,
    "hidden_act": "silu",
    "rms_norm_eps": EPSILON,
    "rope_theta": THETA,
    "tie_word_embeddings": header.tied,
    "bos_token_id": 1,
    "eos_token_id": 2,
  }


def _header(path: Path) -> Header:
  try:
    with open(path, "rb") as file:
      head = file.read(LONG_HEADER)
  except OSError as error:
    raise UserError(f"cannot read {path}: {error}.") from error
  is_long = head.startswith(MAGIC)
  start = 8 if is_long else 0
  if len(head) < (LONG_HEADER if is_long else HEADER.size):
    raise UserError(f"{path} is truncated: it ends within llama2.c's header.")
  version = int.from_bytes(head[4:8], "little", signed=True) if is_long else 0
  if version not in ((1, 2) if is_long else (0,)):
    raise UserError(
      f"{path} is of llama2.c's version {version}; jft reads 0, 1 and 2."
    )
  numbers = HEADER.unpack_from(head, start)
  if wrong := problem(numbers, is_long):
    raise UserError(f"{path}: llama2.c's header is damaged: {wrong}.")
  group = struct.unpack_from("<i", head, 37)[0] if version == 2 else 0
  if is_long and head[36] > 1:
    raise UserError(
      f"{path}: llama2.c's header is damaged: the flag of a shared classifier"
      f" is {head[36]}, expected 0 or 1."
    )
  fields = dict(zip(FIELDS, numbers, strict=True))
  return Header(
    **fields | {"vocab_size": abs(numbers[5])},
    version=version,
    tied=head[36] == 1 if is_long else numbers[5] > 0,
    start=LONG_HEADER if is_long else HEADER.size,
    group=group,
  )


def problem(numbers: tuple[int, ...], signed: bool = False) -> str | None:
  """Says what no model has; a negative vocab_size is version 0's sign."""
  for name, number, most in zip(FIELDS, numbers, _MOST, strict=True):
    size = abs(number) if name == "vocab_size" and not signed else number
    if not 0 < size <= most:
      return f"{name} is {number}"
  dim, _, _, heads, kv_heads, *_ = numbers
  if dim % heads or (dim // heads) % 2 or heads % kv_heads:
    return (
      f"{heads} heads and {kv_heads} heads of keys do not divide dim={dim} into"
      " an even width"
    )
  return None


def _places(path: Path, header: Header) -> dict[str, Place]:
  """{name: place} of all tensors, which must fill the file to its end."""
  if header.version == 2 and not (
    header.group > 0 and header.dim % header.group == 0
  ):
    raise UserError(
      f"{path}: groups of {header.group} values do not divide dim="
      f"{header.dim}; the header is damaged."
    )
  # An upper bound on the count, before a list is made of it.
  size, at, found = path.stat().st_size, header.start, {}
  for name, shape in layout(header):
    group = header.group if len(shape) > 1 else 0
    if group and math.prod(shape) % group:
      raise UserError(
        f"{path}: groups of {group} do not divide {name} {shape}."
      )
    found[name] = Place(at, shape, group)
    at += found[name].nbytes
  if at != size:
    raise UserError(
      f"{path}: the header ({_told(header)}) needs {at} bytes, the file has"
      f" {size}; it is damaged, or no file of llama2.c."
    )
  for name in ("freqs_cos", "freqs_sin"):
    if (place := found.pop(name, None)) is not None:
      _check_table(path, name, place)
  return found


def layout(header: Header) -> Iterator[tuple[str, tuple[int, ...]]]:
  """Yields (name, shape) of the tensors in the order of the file."""
  h, layers = header, range(header.n_layers)
  kv_dim = h.dim // h.n_heads * h.n_kv_heads
  shapes = {
    "attention.wk": (kv_dim, h.dim),
    "attention.wv": (kv_dim, h.dim),
    "feed_forward.w1": (h.hidden_dim, h.dim),
    "feed_forward.w2": (h.dim, h.hidden_dim),
    "feed_forward.w3": (h.hidden_dim, h.dim),
  }

  def stacked(kind: str) -> Iterator[tuple[str, tuple[int, ...]]]:
    is_norm = kind.endswith("norm")
    shape = (h.dim,) if is_norm else shapes.get(kind, (h.dim, h.dim))
    return ((f"layers.{i}.{kind}.weight", shape) for i in layers)

  words = ("tok_embeddings.weight", (h.vocab_size, h.dim))
  norm = ("norm.weight", (h.dim,))
  if h.version:
    yield from stacked("attention_norm")
    yield from stacked("ffn_norm")
    yield norm
    yield words
    for kind in _MATRICES:
      yield from stacked(kind)
  else:
    yield words
    yield from stacked("attention_norm")
    for kind in _MATRICES[:4]:
      yield from stacked(kind)
    yield from stacked("ffn_norm")
    for kind in _MATRICES[4:]:
      yield from stacked(kind)
    yield norm
    for name in ("freqs_cos", "freqs_sin"):
      yield name, (h.max_seq_len, h.dim // h.n_heads // 2)
  if not h.tied:
    yield "output.weight", (h.vocab_size, h.dim)


def _told(header: Header) -> str:
  classifier = "shared" if header.tied else "own"
  sizes = ", ".join(f"{name}={getattr(header, name)}" for name in FIELDS)
  return f"version {header.version}, {sizes}, {classifier} classifier"


def _load(path: Path, place: Place) -> np.ndarray:
  data = read_span(path, place.offset, place.nbytes)
  if not place.group:
    return data.view("<f4").reshape(place.shape)
  size = math.prod(place.shape)
  values = data[:size].view(np.int8).reshape(-1, place.group)
  scales = np.frombuffer(data[size:].tobytes(), "<f4")
  with np.errstate(all="ignore"):  # a damaged scale: the load refuses it
    return (values * scales[:, None]).reshape(place.shape)


def rotary_table(name: str, positions: Any, half: int) -> np.ndarray:
  """Returns rows of a rotary table, Float64[positions half].

  Args:
    name: "freqs_cos" or "freqs_sin".
    positions: Int[n].
    half: pairs of a head's channels.

  >>> rotary_table("freqs_cos", [0, 1], 1).round(2).tolist()
  [[1.0], [0.54]]
  """
  turn = np.cos if name == "freqs_cos" else np.sin
  return turn(np.outer(positions, THETA ** -(np.arange(half) / half)))


def _check_table(path: Path, name: str, place: Place) -> None:
  """Raises unless a table is the one that run.c computes by itself."""
  positions, half = place.shape
  # A late row tells: a table of another base or scale differs most there. Very
  # late ones differ between projects by the rounding of their float32.
  at, row = min(positions, 4096) - 1, 4 * half
  data = read_span(path, place.offset + at * row, row)
  want = rotary_table(name, [at], half)[0]
  if not np.allclose(data.view("<f4"), want, rtol=0, atol=5e-3):
    raise UserError(
      f"{path}: its rotary table {name} is not that of the base {THETA:g}, the"
      " only one that llama2.c computes with; the model was trained otherwise,"
      " or the file is damaged."
    )
