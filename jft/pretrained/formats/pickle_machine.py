"""A pickle interpreter that can build plain data and nothing else.

Python's own unpickler imports and calls what the stream names, and sets
attributes on it; an allow-list in `find_class` still leaves BUILD, NEWOBJ and
the extension registry. This one knows the opcodes that torch writes; a name is
resolved by the caller to a `Builder` or a constant, and only a `Builder` may
be called.

Source: the opcodes are documented in CPython's Lib/pickletools.py.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO

from jft.errors import UserError

# Each opcode makes at most about 100 bytes, so these bound memory. A state dict
# takes some 40 opcodes a tensor.
MAX_OPS = 4_000_000
MAX_COPIED = 4_000_000  # items that calls are given, over the whole stream
MAX_DEPTH = 10_000  # of the mark stack
MAX_NAME = 512


@dataclass(frozen=True)
class Builder:
  """A function that a stream may call, with the name it goes by there."""

  name: str
  build: Callable[..., Any]


@dataclass(frozen=True)
class Opaque:
  """Stands for an object that was not built (an argparse.Namespace, ...)."""

  name: str


class Refused(UserError):
  """The stream asks for something that plain data does not need."""


_CONSTANTS = {b"N": None, b"\x88": True, b"\x89": False}
_EMPTY: dict[bytes, Callable[[], Any]] = {b"]": list, b"}": dict, b")": tuple}
_NUMBERS = {b"K": "<B", b"M": "<H", b"J": "<i", b"G": ">d"}
_TEXTS = {b"X": "<I", b"\x8c": "<B", b"\x8d": "<Q"}
_BYTES = {b"C": "<B", b"B": "<I", b"\x8e": "<Q"}
_OLD_TEXTS = {b"U": "<B", b"T": "<i"}  # what Python 2 wrote
_TUPLES = {b"\x85": 1, b"\x86": 2, b"\x87": 3}
_PUTS = {b"q": "<B", b"r": "<I"}
_GETS = {b"h": "<B", b"j": "<I"}
_KEYS = (str, int, float, bytes, type(None))  # hashed in constant time


class Machine:
  """Runs one pickle.

  Args:
    file: at the pickle's first byte; left after its STOP.
    end: the file's size in bytes.
    resolve: (module, name) -> a Builder or a constant; raises Refused.
    persistent: a persistent id -> the value it stands for.
  """

  def __init__(
    self,
    file: BinaryIO,
    end: int,
    resolve: Callable[[str, str], Any],
    persistent: Callable[[Any], Any],
  ):
    self._file = file
    self._end = end
    self._resolve = resolve
    self._persistent = persistent
    self._stack: list[Any] = []
    self._marks: list[int] = []
    self._memo: dict[int, Any] = {}
    self._copied = 0

  def run(self) -> Any:
    """Returns the object the stream builds.

    Raises:
      Refused: for an opcode, name or call that is not allowed.
      UserError: for a stream that is cut or malformed.
    """
    for _ in range(MAX_OPS):
      op = self._take(1)
      if op == b".":
        return self._pop()
      if not (self._literal(op) or self._collect(op) or self._object(op)):
        raise Refused(f"the pickle uses opcode {op!r}, which is not allowed")
    raise Refused(f"the pickle is longer than {MAX_OPS} operations")

  def _literal(self, op: bytes) -> bool:
    """Opcodes that push a value, or frame the stream."""
    push = self._stack.append
    if op in _CONSTANTS:
      push(_CONSTANTS[op])
    elif op in _EMPTY:
      push(_EMPTY[op]())
    elif op in _NUMBERS:
      push(self._number(_NUMBERS[op]))
    elif op in _TEXTS:
      push(self._take(self._number(_TEXTS[op])).decode("utf-8", "replace"))
    elif op in _OLD_TEXTS:
      push(self._take(self._number(_OLD_TEXTS[op])).decode("latin-1"))
    elif op in _BYTES:
      push(self._take(self._number(_BYTES[op])))
    elif op == b"\x8a":  # LONG1
      push(
        int.from_bytes(self._take(self._number("<B")), "little", signed=True)
      )
    elif op == b"\x80":  # PROTO
      self._number("<B")
    elif op == b"\x95":  # FRAME
      self._number("<Q")
    else:
      return False
    return True

  def _collect(self, op: bytes) -> bool:
    """Opcodes that gather values into tuples, lists and dicts."""
    if op == b"(":
      if len(self._marks) >= MAX_DEPTH:
        raise Refused("the pickle is nested too deeply")
      self._marks.append(len(self._stack))
    elif op in _TUPLES:
      items = [self._pop() for _ in range(_TUPLES[op])]
      self._stack.append(tuple(reversed(items)))
    elif op == b"t":
      self._stack.append(tuple(self._pop_mark()))
    elif op == b"l":
      self._stack.append(self._pop_mark())
    elif op == b"d":
      self._stack.append(_set_items({}, self._pop_mark()))
    elif op in (b"a", b"e"):
      items = [self._pop()] if op == b"a" else self._pop_mark()
      self._top(list).extend(items)
    elif op in (b"s", b"u"):
      items = (
        [self._pop(), self._pop()][::-1] if op == b"s" else self._pop_mark()
      )
      _set_items(self._top(dict), items)
    elif op == b"0":
      self._pop()
    elif op == b"1":
      self._pop_mark()
    else:
      return False
    return True

  def _object(self, op: bytes) -> bool:
    """Opcodes for names, calls and memory."""
    if op == b"c":
      self._stack.append(self._resolve(self._line(), self._line()))
    elif op == b"\x93":  # STACK_GLOBAL
      name, module = self._pop(), self._pop()
      # Nothing else is turned into text: sixty nested pairs of one tuple take
      # 2**60 steps to print.
      if not isinstance(name, str) or not isinstance(module, str):
        raise Refused("the pickle names something by other than text")
      self._stack.append(self._resolve(module[:MAX_NAME], name[:MAX_NAME]))
    elif op in (b"R", b"\x81"):  # REDUCE, NEWOBJ
      args, builder = self._pop(), self._pop()
      if not isinstance(builder, Builder) or not isinstance(args, tuple):
        raise Refused("the pickle calls something that may not be called")
      self._count(args)
      self._stack.append(_call(builder, args))
    elif op == b"b":  # BUILD: attributes such as _metadata, of no use here
      self._pop()
      if isinstance(self._top(object), Builder):
        raise Refused("the pickle sets attributes of a function")
    elif op == b"Q":
      self._stack.append(self._persistent(self._pop()))
    elif op in _PUTS or op == b"\x94":  # MEMOIZE counts by itself
      key = self._number(_PUTS[op]) if op in _PUTS else len(self._memo)
      self._memo[key] = self._top(object)
    elif op in _GETS:
      key = self._number(_GETS[op])
      if key not in self._memo:
        raise UserError(f"the pickle reads memory {key} before writing it")
      self._stack.append(self._memo[key])
    else:
      return False
    return True

  def _count(self, args: tuple[Any, ...]) -> None:
    """Bounds what builders copy: one long list may be given to many calls."""
    self._copied += sum(
      len(arg) for arg in (args, *args) if isinstance(arg, list | tuple | dict)
    )
    if self._copied > MAX_COPIED:
      raise Refused(f"the pickle copies more than {MAX_COPIED} items")

  def _take(self, count: int) -> bytes:
    # Asked first: file.read(n) sets n bytes aside before it finds the end.
    left = self._end - self._file.tell()
    if not 0 <= count <= left:
      raise UserError(f"expected {count} more bytes, got {left}: truncated")
    return self._file.read(count)

  def _number(self, form: str) -> Any:
    return struct.unpack(form, self._take(struct.calcsize(form)))[0]

  def _line(self) -> str:
    line = self._file.readline(MAX_NAME)
    if not line.endswith(b"\n"):
      raise UserError(f"a name is cut or longer than {MAX_NAME} bytes")
    return line[:-1].decode("utf-8", "replace")

  def _pop(self) -> Any:
    floor = self._marks[-1] if self._marks else 0
    if len(self._stack) <= floor:
      raise UserError("the pickle takes from an empty stack")
    return self._stack.pop()

  def _pop_mark(self) -> list[Any]:
    if not self._marks:
      raise UserError("the pickle closes what it did not open")
    at = self._marks.pop()
    items = self._stack[at:]
    del self._stack[at:]
    return items

  def _top(self, kind: type) -> Any:
    if not self._stack or not isinstance(self._stack[-1], kind):
      raise UserError(
        f"the pickle expects a {kind.__name__} where there is none"
      )
    return self._stack[-1]


def _set_items(into: dict[Any, Any], items: list[Any]) -> dict[Any, Any]:
  if len(items) % 2:
    raise UserError("the pickle holds a key without a value")
  for key, value in zip(items[::2], items[1::2], strict=True):
    if not isinstance(key, _KEYS):
      raise Refused(f"the pickle uses a {type(key).__name__} as a key")
    into[key] = value
  return into


def _call(builder: Builder, args: tuple[Any, ...]) -> Any:
  try:
    return builder.build(*args)
  except TypeError as error:
    raise UserError(f"{builder.name} got arguments it does not take") from error
