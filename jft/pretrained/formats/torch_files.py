"""Where torch keeps things in its two file layouts.

A zip of stored entries (`NAME/data.pkl` and `NAME/data/KEY`), and, before torch
1.6, a run of pickles followed by the raw storages. Every size a file claims is
checked against the file before anything of that size is made.

Source: torch/serialization.py, `_load` and `_legacy_load`.
"""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from jft.errors import UserError
from jft.pretrained.formats import torch_values, zip_files
from jft.pretrained.formats.pickle_machine import Machine, Refused
from jft.pretrained.formats.torch_values import Storage
from jft.pretrained.formats.zip_files import Place, read_place

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001
MAX_PICKLE = 256 * 2**20  # bytes; a state dict's pickle is some 100 a tensor
MAX_GROWTH = 100  # of a deflated pickle; a state dict's shrinks ten-fold


def is_legacy(head: bytes) -> bool:
  """Whether a file's first bytes are those of torch before 1.6."""
  # PROTO n, LONG1 of 10 bytes: the magic number.
  return (
    head[:1] == b"\x80"
    and head[2:4] == b"\x8a\x0a"
    and head[4:14] == MAGIC.to_bytes(10, "little")
  )


Find = Callable[[Storage], Place]


def open_zip(path: Path, file: BinaryIO) -> tuple[Any, Find]:
  places = zip_files.places(path, file)
  roots = [
    n[:-9] for n in places if n.endswith("/data.pkl") and n.count("/") == 1
  ]
  if len(roots) != 1:
    raise UserError(
      "a zip, but not torch's: expected one NAME/data.pkl, got"
      f" {len(roots)} among {len(places)} entries."
    )
  root = roots[0]
  order = places.get(f"{root}/byteorder")
  if order and _bytes(path, order, 16) != b"little":
    raise UserError("written on a big-endian machine; save it on another.")
  data = _bytes(path, places[f"{root}/data.pkl"], MAX_PICKLE)
  tree = _run(io.BytesIO(data), len(data), torch_values.storage)

  def find(store: Storage) -> Place:
    return places[f"{root}/data/{store.key}"]

  return tree, find


def _bytes(path: Path, place: Place, limit: int) -> bytes:
  if place.nbytes > limit:
    raise Refused(f"an entry of {place.nbytes} bytes, allowed are {limit}.")
  if place.inflate and place.nbytes > MAX_GROWTH * (place.packed + 1024):
    raise Refused(
      f"a pickle that inflates from {place.packed} to {place.nbytes} bytes."
    )
  return read_place(path, place, 0, place.nbytes).tobytes()


def open_legacy(path: Path, file: BinaryIO) -> tuple[Any, Find]:
  size = path.stat().st_size
  seen: dict[str, Storage] = {}

  def persistent(saved: Any) -> Storage:
    store = torch_values.storage(saved)
    first = seen.setdefault(store.key, store)
    if (first.dtype, first.numel) != (store.dtype, store.numel):
      raise UserError(f"storage {store.key!r} is described in two ways.")
    return store

  magic, protocol, machine = (_run(file, size, persistent) for _ in range(3))
  if magic != MAGIC or protocol != PROTOCOL or not isinstance(machine, dict):
    found = protocol if isinstance(protocol, int) else type(protocol).__name__
    raise UserError(f"torch's legacy format {found}, known is {PROTOCOL}.")
  if machine.get("little_endian") is not True:
    raise UserError("written on a big-endian machine; save it on another.")
  tree = _run(file, size, persistent)
  keys = _run(file, size, persistent)
  places = {}
  for key in keys if isinstance(keys, list) else []:
    if not isinstance(key, str):
      raise UserError(f"a storage is named by a {type(key).__name__}.")
    store, head = seen.get(key), file.read(8)
    if store is None or len(head) != 8:
      raise UserError(f"truncated, or no storage {key[:40]!r}.")
    place = Place(file.tell(), store.numel * store.dtype.itemsize)
    if int.from_bytes(head, "little") != store.numel:
      raise UserError(f"storage {key!r} has not the length it says.")
    if place.offset + place.nbytes > size:
      raise UserError(
        f"truncated: storage {key!r} takes {place.nbytes} bytes at"
        f" {place.offset}, the file has {size}."
      )
    file.seek(place.nbytes, io.SEEK_CUR)
    places[key] = place
  return tree, lambda store: places[store.key]


def _run(file: BinaryIO, end: int, persistent: Callable[[Any], Any]) -> Any:
  return Machine(file, end, torch_values.resolve, persistent).run()
