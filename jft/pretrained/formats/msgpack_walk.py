"""A walk over msgpack: what is small is read, what is large is skipped.

Source: https://github.com/msgpack/msgpack/blob/master/spec.md
"""

import struct
from dataclasses import dataclass
from typing import Any, BinaryIO

from jft.errors import UserError

MAX_VALUES = 1_000_000  # in a file; a large model has some thousand arrays
MAX_DEPTH = 100
MAX_TEXT = 4096  # bytes of a key

_UNSIGNED = {0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q"}
_SIGNED = {0xD0: ">b", 0xD1: ">h", 0xD2: ">i", 0xD3: ">q"}
_NUMBERS = {0xCA: ">f", 0xCB: ">d", **_UNSIGNED, **_SIGNED}
_CONSTANTS = {0xC0: None, 0xC2: False, 0xC3: True}
_TEXTS = {0xD9: ">B", 0xDA: ">H", 0xDB: ">I"}
_BYTES = {0xC4: ">B", 0xC5: ">H", 0xC6: ">I"}
_LISTS = {0xDC: ">H", 0xDD: ">I"}
_MAPS = {0xDE: ">H", 0xDF: ">I"}
_EXTENSIONS = {0xC7: ">B", 0xC8: ">H", 0xC9: ">I"}
_FIXED_EXTENSIONS = {0xD4: 1, 0xD5: 2, 0xD6: 4, 0xD7: 8, 0xD8: 16}


@dataclass(frozen=True)
class Span:
  """Skipped bytes: of an extension of type `code`, or plain ones (None)."""

  start: int
  nbytes: int
  code: int | None = None


class Walk:
  """Reads values one after another.

  Args:
    file: at the first value.
    end: where the values end, in bytes from the file's begin.
  """

  def __init__(self, file: BinaryIO, end: int):
    self._file = file
    self._end = end
    self._left = MAX_VALUES

  def value(self, depth: int = 0) -> Any:
    """Returns the next value.

    Returns:
      A dict of texts, a list, a text, a number, a bool, None, or a `Span` for
      bytes and extensions.

    Raises:
      UserError: if it is cut, too deep, or has a key that is no text.
    """
    self._left -= 1
    if self._left < 0 or depth > MAX_DEPTH:
      raise UserError(
        f"more than {MAX_VALUES} values, or nested deeper than {MAX_DEPTH}"
      )
    (kind,) = self._take(1)
    if kind in _CONSTANTS:
      return _CONSTANTS[kind]
    if kind in _NUMBERS:
      return self._number(_NUMBERS[kind])
    if kind < 0x80:
      return kind
    if kind >= 0xE0:
      return kind - 0x100
    if kind < 0x90 or kind in _MAPS:
      return self._map(self._count(kind, 0x0F, _MAPS), depth)
    if kind < 0xA0 or kind in _LISTS:
      count = self._count(kind, 0x0F, _LISTS)
      return [self.value(depth + 1) for _ in range(count)]
    if kind < 0xC0 or kind in _TEXTS:
      return self._text(self._count(kind, 0x1F, _TEXTS))
    return self._span(kind)

  def inside(self, span: Span) -> Any:
    """Returns the value that an extension is made of."""
    end, self._end = self._end, span.start + span.nbytes
    try:
      self._file.seek(span.start)
      found = self.value()
      if self._file.tell() != self._end:
        raise UserError(f"an extension at {span.start} is longer than it says")
    finally:
      self._end = end
    return found

  def _map(self, count: int, depth: int) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for _ in range(count):
      key = self.value(depth + 1)
      if not isinstance(key, str) or key in made:
        raise UserError("a dict has a key that is no text, or is there twice")
      made[key] = self.value(depth + 1)
    return made

  def _text(self, count: int) -> str:
    if count > MAX_TEXT:
      raise UserError(f"a text of {count} bytes, allowed are {MAX_TEXT}")
    return self._take(count).decode("utf-8", "replace")

  def _span(self, kind: int) -> Span:
    code = None
    if kind in _BYTES:
      nbytes = self._number(_BYTES[kind])
    elif kind in _EXTENSIONS or kind in _FIXED_EXTENSIONS:
      fixed = _FIXED_EXTENSIONS.get(kind)
      nbytes = fixed or self._number(_EXTENSIONS.get(kind, ">B"))
      code = self._number(">b")
    else:
      raise UserError(f"byte {kind:#x} begins no value of msgpack")
    start = self._file.tell()
    if start + nbytes > self._end:
      raise UserError(
        f"truncated: {nbytes} bytes at {start}, it ends at {self._end}"
      )
    self._file.seek(nbytes, 1)
    return Span(start, nbytes, code)

  def _count(self, kind: int, mask: int, forms: dict[int, str]) -> int:
    return self._number(forms[kind]) if kind in forms else kind & mask

  def _number(self, form: str) -> Any:
    return struct.unpack(form, self._take(struct.calcsize(form)))[0]

  def _take(self, count: int) -> bytes:
    left = self._end - self._file.tell()
    if count > left:
      raise UserError(f"truncated: expected {count} more bytes, got {left}")
    return self._file.read(count)
