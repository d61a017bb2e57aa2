"""Hashes of what examples hold, the same on every machine."""

import hashlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from jft.data.labels import kind_of
from jft.data.source import Source


def digest(example: Mapping[str, Any]) -> bytes:
  """Returns the sha256 of an example: its names, shapes, types and values."""
  sha = hashlib.sha256()
  for key in sorted(example):
    kind, data = _canonical(example[key])
    # Lengths first, so that no two examples can run into the same bytes.
    sha.update(f"{len(key)}:{key}|{kind}|{len(data)}:".encode())
    sha.update(data)
  return sha.digest()


def _canonical(value: Any) -> tuple[str, bytes]:
  if isinstance(value, str):
    return "text", value.encode()
  if isinstance(value, bytes):
    return "bytes", value
  array = np.asarray(value)
  if array.dtype.kind == "U":
    return f"text{array.shape}", "\0".join(array.ravel().tolist()).encode()
  if array.ndim == 0 and array.dtype.kind in "iub":
    return "int", str(int(array)).encode()  # 3 is 3, in int32 as in int64.
  little = array.astype(array.dtype.newbyteorder("<"))
  return f"{little.dtype.str}{array.shape}", little.tobytes()


def input_digest(source: Source, i: int) -> bytes:
  """Returns the hash of one example's inputs, without its label.

  Files are hashed as they are, without decoding them.
  """
  read = getattr(source, "content", None)
  content = None if read is None else read(i)
  if content is not None:
    return hashlib.sha256(content).digest()
  example = source[i]
  return digest({k: v for k, v in example.items() if k != "label"})


def input_digests(source: Source, indices: np.ndarray) -> np.ndarray:
  """Returns UInt8[b 32], the hashes of these examples' inputs.

  A subset that a split made knows them; files are read on several threads.
  """
  known = getattr(source, "digests", None)
  if known is not None:
    return known[indices]
  picked = [int(i) for i in indices]
  read = getattr(source, "content", None)
  if not picked or read is None or read(picked[0]) is None:
    rows = [input_digest(source, i) for i in picked]
  else:
    with ThreadPoolExecutor() as pool:
      rows = list(pool.map(lambda i: input_digest(source, i), picked))
  return np.frombuffer(b"".join(rows), np.uint8).reshape(-1, 32)


@dataclass(frozen=True, eq=False)
class Digests:
  """The input hashes of a source, or of an even sample of it.

  Attributes:
    index: Int64[b] the examples, rising.
    rows: UInt8[b 32] their hashes.
    labels: Int64[b], Float64[b] where they are numbers, or None where they
      have none; of tags and of several classes a hash.
    examples: how many the source has.
  """

  index: np.ndarray
  rows: np.ndarray
  labels: np.ndarray | None
  examples: int

  @property
  def sampled(self) -> bool:
    """Were some examples left out?"""
    return len(self.index) < self.examples


def digests(
  source: Source, limit: int = 100_000, budget_mb: float = 1024
) -> Digests:
  """Returns the input hashes of a source, read once.

  Args:
    source: any source. One that a split made has its hashes already, and
      neither bound counts.
    limit: read no more examples than this, evenly spread over the source.
    budget_mb: and about no more bytes than this, by the size of a few.
  """
  n = len(source)
  if getattr(source, "digests", None) is None:
    limit = min(limit, int(budget_mb * 2**20 / _mean_bytes(source)))
  else:
    limit = n
  index = np.unique(np.linspace(0, n - 1, max(1, min(n, limit))).astype(int))
  return Digests(index, input_digests(source, index), _labels(source, index), n)


def _mean_bytes(source: Source) -> float:
  read = getattr(source, "content", None)
  sizes = []
  for i in np.unique(np.linspace(0, len(source) - 1, 8).astype(int)):
    content = None if read is None else read(int(i))
    if content is not None:
      sizes.append(len(content))
    else:
      row = source[int(i)].values()
      sizes.append(sum(len(_canonical(value)[1]) for value in row))
  return max(1.0, float(np.mean(sizes)))


def _labels(source: Source, index: np.ndarray) -> np.ndarray | None:
  kind = kind_of(source)
  dtype = np.float64 if kind == "number" else np.int64
  known = getattr(source, "labels", None)
  if known is None:
    if source[int(index[0])].get("label") is None:
      return None
    picked = [source[int(i)]["label"] for i in index]
  else:
    picked = np.asarray(known)[index]
  if kind in ("tags", "multi"):
    picked = [_short_hash(tags) for tags in picked]
  return np.array(picked).astype(dtype)


def _short_hash(tags: Any) -> int:
  hashed = digest({"tags": np.asarray(tags, np.int32)})
  return int.from_bytes(hashed[:7], "big")


def fingerprint(source: Source, found: Digests | None = None) -> str:
  """Returns one hash for a source's examples, whatever their order.

  Of a source too large to be hashed whole (`Digests.sampled`) the hash is of
  an even sample, and so does depend on the order.

  Args:
    source: any source.
    found: its `digests`, where they are at hand.

  Returns:
    64 hex digits.
  """
  found = digests(source) if found is None else found
  rows = [row.tobytes() for row in found.rows]
  if found.labels is not None:
    pairs = zip(rows, found.labels.tolist(), strict=True)
    rows = [row + str(label).encode() for row, label in pairs]
  sha = hashlib.sha256(f"{len(source)}|{source.label_names}".encode())
  for row in sorted(rows):
    sha.update(row)
  return sha.hexdigest()
