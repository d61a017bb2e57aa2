"""The table of keys and values (LevelDB's) that TensorFlow's index files are.

Source: https://github.com/google/leveldb/blob/main/doc/table_format.md
"""

from collections.abc import Iterator

from jft.errors import UserError
from jft.pretrained.formats import crc32c

MAGIC = bytes.fromhex("57fb808b247547db")
FOOTER = 48  # bytes: two handles, padding, the magic number
MAX_KEY = 4096


def entries(data: bytes) -> Iterator[tuple[bytes, bytes]]:
  """Yields the keys, in order, and their values.

  Args:
    data: the whole file.

  Raises:
    UserError: if it is damaged or compressed.
  """
  if len(data) < FOOTER or data[-8:] != MAGIC:
    raise UserError("it does not end like an index of TensorFlow: truncated")
  at = len(data) - FOOTER
  _, at = _handle(data, at)  # of the block that describes filters
  index, _ = _handle(data, at)
  last = None
  for _, where in _block(data, *index):
    for key, value in _block(data, *_handle(where, 0)[0]):
      if last is not None and key <= last:
        raise UserError("its keys are not in order: damaged")
      last = key
      yield key, value


def varint(data: bytes, at: int) -> tuple[int, int]:
  """Returns (a number of 7 bits a byte, where the next begins).

  Raises:
    UserError: if it is cut or longer than 64 bits.

  >>> varint(bytes([0xAC, 0x02]), 0)
  (300, 2)
  """
  value = 0
  for i, byte in enumerate(data[at : at + 10]):
    value |= (byte & 0x7F) << 7 * i
    if byte < 0x80:
      return value & 2**64 - 1, at + i + 1
  raise UserError("a number in it is cut or too long: truncated or damaged")


def _handle(data: bytes, at: int) -> tuple[tuple[int, int], int]:
  """Returns ((offset, size) of a block, where the next field begins)."""
  offset, at = varint(data, at)
  size, at = varint(data, at)
  return (offset, size), at


def _block(
  data: bytes, offset: int, size: int
) -> Iterator[tuple[bytes, bytes]]:
  # After the block: how it is compressed, and the checksum of both.
  end = offset + size
  if end + 5 > len(data) or size < 4:
    raise UserError(f"a block of {size} bytes at {offset} is beyond its end")
  found = crc32c.unmask(int.from_bytes(data[end + 1 : end + 5], "little"))
  if crc32c.of(data[offset : end + 1]) != found:
    raise UserError(f"the block at {offset} does not match its checksum")
  if data[end]:
    raise UserError("its blocks are compressed, which TensorFlow does not do")
  restarts = int.from_bytes(data[end - 4 : end], "little")
  stop, at = end - 4 - 4 * restarts, offset
  key = b""
  while at < stop:
    shared, at = varint(data, at)
    fresh, at = varint(data, at)
    length, at = varint(data, at)
    if shared > len(key) or fresh > MAX_KEY or at + fresh + length > stop:
      raise UserError(f"an entry at {at} reaches beyond its block: damaged")
    key = key[:shared] + data[at : at + fresh]
    at += fresh
    yield key, data[at : at + length]
    at += length
