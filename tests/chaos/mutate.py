"""Damage to files, drawn from a seeded generator: the same seed, the same file.

Bytes are flipped, cut, repeated and spliced; numbers and JSON are changed as
what they are, so that the damage comes through to the code behind the parser.
"""

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

MOST_BYTES = 65_536

_BYTES = (0, 1, 2, 9, 10, 13, 31, 32, 34, 47, 48, 92, 127, 128, 192, 254, 255)
_SIZES = (0, 1, 127, 128, 255, 256, 2**15, 2**16 - 1, 2**31 - 1, 2**31)
_SIZES += (2**32 - 1, 2**32, 2**48, 2**63 - 1, 2**63, 2**64 - 1)
NUMBERS = (
  "0",
  "-1",
  "1",
  "007",
  "1.5",
  "-0.0",
  "1e-400",
  "1e308",
  "1e999",
  "-1e999",
  "NaN",
  "Infinity",
  "-Infinity",
  *(str(size) for size in _SIZES),
  "1" + 30 * "0",
  "1" + 400 * "0",
  4400 * "9",
)
TEXTS = (
  "",
  "\0",
  "a\0b",
  "\ud800",
  "\udcff",
  "\ufeff",
  "\u2028",
  "\x85",
  "\x1b[2J",
  "é" * 200,
  "a" * 5000,
  "0",
  "None",
  "NaN",
  ".",
  "..",
  "../../x",
  "/etc/passwd",
  "/dev/zero",
  "%s%n{0}{}$HOME",
  "<script>alert(1)</script>",
  "=cmd|' /C calc'!A0",
  "__import__('os').system('touch hacked')",
  "__main__",
)
# What text formats give a meaning to.
_MARKS = ('"', "'", ",", "\t", ";", ":", "=", "\\", "\n", "\r\n", "\r", "\0")
_MARKS += ("\ufeff", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\x1a", "{", "[")

Op = Callable[[np.random.Generator, bytes, Sequence[bytes]], bytes]


def mutate(
  rng: np.random.Generator,
  seeds: Sequence[bytes],
  kind: str = "bytes",
  tokens: Sequence[bytes] = (),
) -> bytes:
  """Returns one of the seeds with one to four kinds of damage.

  Args:
    rng: draws everything.
    seeds: sound files.
    kind: "bytes", "text" or "json": what sort of damage there is.
    tokens: words of the format, to be put in anywhere.
  """
  data = _pick(rng, seeds)
  if kind == "json" and rng.random() < 0.75:
    data = change_json(rng, data)
    if rng.random() < 0.7:
      return data
  ops = [*_ON_BYTES, *(_ON_TEXT if kind != "bytes" else ())]
  for _ in range(1 + int(rng.integers(4)) // 2):
    if tokens and rng.random() < 0.3:
      data = _insert(rng, data, _pick(rng, tokens))
    else:
      data = _pick(rng, ops)(rng, data, seeds)
  return data[:MOST_BYTES]


def change_json(rng: np.random.Generator, data: bytes) -> bytes:
  """Returns a JSON document with one or two of its values changed."""
  value = json.loads(data)
  for _ in range(1 + int(rng.integers(2))):
    value = _changed(rng, value)
  return _dump(value).encode("utf-8", "surrogatepass")


class _Raw(str):
  """JSON that is written as it is, whether it is sound or not."""


def _changed(rng: np.random.Generator, value: Any) -> Any:
  # Into a child three times of four, so that every depth is reached.
  inside = isinstance(value, dict | list) and len(value) > 0
  if not inside or rng.random() < 0.12:
    return _hostile(rng, value)
  if isinstance(value, list):
    at = int(rng.integers(len(value)))
    if rng.random() < 0.1:
      return value[:at] + value[at + 1 :]
    return [*value[:at], _changed(rng, value[at]), *value[at + 1 :]]
  key = _pick(rng, list(value))
  chance = rng.random()
  if chance < 0.1:
    return {k: item for k, item in value.items() if k != key}
  if chance < 0.17:
    name = _pick(rng, TEXTS)
    return {name if k == key else k: item for k, item in value.items()}
  if chance < 0.22:
    again = f"{json.dumps(key)}: {_dump(_hostile(rng, value[key]))}"
    return _Raw(f"{_dump(value)[:-1]}, {again}}}")
  return {**value, key: _changed(rng, value[key])}


def _hostile(rng: np.random.Generator, old: Any) -> Any:
  """Returns a value of another type, size or shape than the old one."""
  chance = rng.random()
  if chance < 0.3:
    return _Raw(_pick(rng, NUMBERS))
  if chance < 0.5:
    return _pick(rng, TEXTS)
  if chance < 0.55:
    depth = int(_pick(rng, (100, 900, 1100, 5000, 30_000)))
    opening, closing = _pick(rng, (("[", "]"), ('{"a":', "}")))
    return _Raw(opening * depth + "0" + closing * depth)
  if chance < 0.65:
    return [old, old]
  if chance < 0.7:
    return {"": old}
  return _pick(rng, (None, True, False, 0, 0.5, [], {}, [[]], [None], "x"))


def _dump(value: Any) -> str:
  if isinstance(value, _Raw):
    return str(value)
  if isinstance(value, dict):
    items = (f"{json.dumps(k)}: {_dump(item)}" for k, item in value.items())
    return f"{{{', '.join(items)}}}"
  if isinstance(value, list):
    return f"[{', '.join(map(_dump, value))}]"
  return json.dumps(value)


def _pick(rng: np.random.Generator, among: Sequence[Any]) -> Any:
  return among[int(rng.integers(len(among)))]


def _at(rng: np.random.Generator, data: bytes) -> int:
  # Headers lie at the ends; what is in between is mostly payload.
  near = min(64, len(data))
  chance = rng.random()
  if chance < 0.3:
    return int(rng.integers(near + 1))
  if chance < 0.4:
    return len(data) - int(rng.integers(near + 1))
  return int(rng.integers(len(data) + 1))


def _span(rng: np.random.Generator, data: bytes) -> tuple[int, int]:
  start = _at(rng, data)
  longest = _pick(rng, (1, 4, 16, 256, 4096))
  return start, start + 1 + int(rng.integers(longest))


def _insert(rng: np.random.Generator, data: bytes, new: bytes) -> bytes:
  at = _at(rng, data)
  return data[:at] + new + data[at:]


def _overwrite(data: bytes, at: int, new: bytes) -> bytes:
  return data[:at] + new + data[at + len(new) :]


def _flip(rng: np.random.Generator, data: bytes, _: Any) -> bytes:
  out = bytearray(data)
  for _ in range(_pick(rng, (1, 1, 2, 8))):
    if out:
      at = min(_at(rng, data), len(out) - 1)
      out[at] ^= 1 << int(rng.integers(8))
  return bytes(out)


def _set_byte(rng: np.random.Generator, data: bytes, _: Any) -> bytes:
  return _overwrite(data, _at(rng, data), bytes([_pick(rng, _BYTES)]))


def _set_size(rng: np.random.Generator, data: bytes, _: Any) -> bytes:
  width, order = _pick(rng, (1, 2, 4, 8)), _pick(rng, ("little", "big"))
  size = _pick(rng, _SIZES) % 2 ** (8 * width)
  return _overwrite(data, _at(rng, data), size.to_bytes(width, order))


def _cut(rng: np.random.Generator, data: bytes, _: Any) -> bytes:
  return data[: _at(rng, data)]


def _delete(rng: np.random.Generator, data: bytes, _: Any) -> bytes:
  start, end = _span(rng, data)
  return data[:start] + data[end:]


def _repeat(rng: np.random.Generator, data: bytes, _: Any) -> bytes:
  start, end = _span(rng, data)
  times = _pick(rng, (1, 1, 2, 16, 256))
  return data[:end] + data[start:end] * times + data[end:]


def _noise(rng: np.random.Generator, data: bytes, _: Any) -> bytes:
  return _insert(rng, data, rng.bytes(_pick(rng, (1, 2, 8, 64))))


def _splice(
  rng: np.random.Generator, data: bytes, seeds: Sequence[bytes]
) -> bytes:
  other = _pick(rng, seeds)
  return data[: _at(rng, data)] + other[_at(rng, other) :]


def _number(rng: np.random.Generator, data: bytes, _: Any) -> bytes:
  found = list(re.finditer(rb"\d+", data[:MOST_BYTES]))
  if not found:
    return data
  match = _pick(rng, found)
  new = _pick(rng, NUMBERS).encode()
  return data[: match.start()] + new + data[match.end() :]


def _mark(rng: np.random.Generator, data: bytes, _: Any) -> bytes:
  return _insert(rng, data, _pick(rng, _MARKS).encode())


def _word(rng: np.random.Generator, data: bytes, _: Any) -> bytes:
  text = _pick(rng, TEXTS).encode("utf-8", "surrogatepass")
  return _insert(rng, data, text)


def _line_ends(rng: np.random.Generator, data: bytes, _: Any) -> bytes:
  return data.replace(b"\n", _pick(rng, (b"\r\n", b"\r", b"", b"\n\n")))


def _recode(rng: np.random.Generator, data: bytes, _: Any) -> bytes:
  name = _pick(rng, ("utf-8-sig", "utf-16", "utf-32", "utf-7", "latin-1"))
  return data.decode("utf-8", "replace").encode(name, "replace")


_ON_BYTES: tuple[Op, ...] = (
  _flip,
  _set_byte,
  _set_size,
  _cut,
  _delete,
  _repeat,
  _noise,
  _splice,
  _number,
)
_ON_TEXT: tuple[Op, ...] = (_mark, _mark, _word, _word, _line_ends, _recode)
