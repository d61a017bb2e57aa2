"""CRC-32C, the checksum of TensorFlow's checkpoints, with NumPy.

A CRC is linear over the bits, so the data is cut into many rows that are worked
on side by side, and the rows' checksums are joined two by two.

Source: RFC 3720, appendix B.4; the joining is that of zlib's crc32_combine.
"""

import functools

import numpy as np

POLYNOMIAL = 0x82F63B78  # reflected
MASK_DELTA = 0xA282EAD8
ROW = 1024  # bytes of a row


def of(data: bytes | np.ndarray) -> int:
  """Returns the CRC-32C of bytes.

  >>> hex(of(b"123456789"))
  '0xe3069283'
  """
  flat = np.frombuffer(data, np.uint8)
  whole = flat.size // ROW * ROW
  crc = 0
  # A few thousand rows at a time stay in the processor's cache.
  for start in range(0, whole, 4096 * ROW):
    rows = flat[start : min(start + 4096 * ROW, whole)].reshape(-1, ROW)
    crc = _join(crc, _joined(_crcs(rows)), rows.size)
  rest = flat[whole:].reshape(1, -1)
  return _join(crc, int(_crcs(rest)[0]), rest.size)


def unmask(stored: int) -> int:
  """Returns the checksum that LevelDB and TensorFlow have disguised.

  >>> hex(unmask(0xA282EAD8 + 1))
  '0x8000'
  """
  rotated = (stored - MASK_DELTA) % 2**32
  return (rotated >> 17 | rotated << 15) % 2**32


def _crcs(rows: np.ndarray) -> np.ndarray:
  """Returns each row's CRC; eight bytes at a time, by eight tables."""
  tables = _tables()
  crcs = np.full(len(rows), 2**32 - 1, np.uint32)
  eights = rows.shape[1] // 8 * 8
  for at in range(0, eights, 8):
    words = np.ascontiguousarray(rows[:, at : at + 8]).view("<u4")
    low, high = words[:, 0] ^ crcs, words[:, 1]
    crcs = tables[7][low & 255] ^ tables[3][high & 255]
    for byte in (1, 2, 3):
      shift = np.uint32(8 * byte)
      crcs ^= tables[7 - byte][low >> shift & 255]
      crcs ^= tables[3 - byte][high >> shift & 255]
  for at in range(eights, rows.shape[1]):
    crcs = tables[0][(crcs ^ rows[:, at]) & 255] ^ crcs >> np.uint32(8)
  return ~crcs


def _joined(crcs: np.ndarray) -> int:
  """Returns the CRC of rows one after another, from that of each."""
  size, total = ROW, 0
  done = 0
  while len(crcs) > 1:
    if len(crcs) % 2:  # the last one waits; what is behind it is `total`
      total = _join(int(crcs[-1]), total, done)
      done += size
      crcs = crcs[:-1]
    crcs = _times(_shift(size), crcs[::2]) ^ crcs[1::2]
    size *= 2
  return _join(int(crcs[0]), total, done)


def _join(first: int, second: int, size: int) -> int:
  """Returns the CRC of two runs of bytes, the second of `size` bytes."""
  if not size:
    return first
  return int(_times(_shift(size), np.array([first], np.uint32))[0]) ^ second


def _times(matrix: np.ndarray, values: np.ndarray) -> np.ndarray:
  """Multiplies bit vectors by a matrix of 32 columns, over the two numbers."""
  made = np.zeros(len(values), np.uint32)
  for bit in range(32):
    made ^= (values >> np.uint32(bit) & np.uint32(1)) * matrix[bit]
  return made


@functools.lru_cache(maxsize=256)
def _shift(size: int) -> np.ndarray:
  """Returns the matrix that appends `size` zero bytes."""
  if size == 1:
    ones = np.uint32(1) << np.arange(32, dtype=np.uint32)
    return _tables()[0][ones & 255] ^ ones >> np.uint32(8)
  half = _shift(size // 2)
  made = _times(half, half)
  return _times(_shift(1), made) if size % 2 else made


@functools.cache
def _tables() -> np.ndarray:
  """Returns the CRC of each byte followed by 0 to 7 zero bytes."""
  first = np.arange(256, dtype=np.uint32)
  for _ in range(8):
    odd = first & np.uint32(1)
    first = first >> np.uint32(1) ^ odd * np.uint32(POLYNOMIAL)
  tables = [first]
  for _ in range(7):
    last = tables[-1]
    tables.append(first[last & 255] ^ last >> np.uint32(8))
  return np.stack(tables)
