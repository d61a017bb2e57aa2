"""Hashes of what examples hold, the same on every machine."""

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

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


def fingerprint(source: Source, limit: int = 10_000) -> str:
  """Returns one hash for a source's examples, whatever their order.

  Args:
    source: any source.
    limit: above this many examples only that many are read, evenly spread
      over the source; the hash of such a sample does depend on the order.

  Returns:
    64 hex digits.
  """
  n = len(source)
  picked = np.unique(np.linspace(0, n - 1, min(n, limit)).astype(np.int64))
  labels = getattr(source, "labels", None)
  rows = []
  for i in map(int, picked):
    if labels is None:
      rows.append(digest(source[i]))
    else:
      rows.append(input_digest(source, i) + str(int(labels[i])).encode())
  sha = hashlib.sha256(f"{n}|{source.label_names}".encode())
  for row in sorted(rows):
    sha.update(row)
  return sha.hexdigest()
