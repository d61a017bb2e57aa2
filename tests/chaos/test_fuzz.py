"""Every reader, on damaged and hostile inputs: read, or UserError, no third.

pytest -m chaos -n 0 -s      the long form, 10^5 inputs and more
JFT_FUZZ="gzip of idx:17" pytest -m chaos -n 0 -s    one input again
"""

import base64
import collections
import contextlib
import os
import time
import zlib

import numpy as np
import pytest
from chaos import datasets, formats, runs, vocabularies, watch, weights

from jft.errors import UserError

READERS = (*weights.READERS, *formats.READERS, *datasets.READERS)
READERS += (*runs.READERS, *vocabularies.READERS)
SHORT = 25
MOST_SHOWN = 5

ids = [reader.name for reader in READERS]


def fuzz(reader, folder, numbers):
  """Returns the outcomes' counts, and a report of what was neither."""
  seeds = list(reader.seeds())
  counts, bad = collections.Counter(), []
  reader.prepare(folder)
  with watch.limits() as watching:
    for seed in seeds:  # Imports what is imported on first use.
      with contextlib.suppress(UserError):
        _ = reader.make or reader.read(folder, seed)
    for number in numbers:
      rng = np.random.default_rng([zlib.crc32(reader.name.encode()), number])
      data = reader.draw(rng, seeds)
      found = watch.outcome(reader, folder, data, watching)
      known = found in ("accepted", "refused")
      counts[found if known else "other"] += 1
      if not known:
        shown = base64.b64encode(data[:6000]).decode()
        bad.append(f"{reader.name}:{number}: {found}\n  base64 {shown}")
  return counts, bad


def check(bad):
  if bad:
    shown = [f"{len(bad)} inputs, the first {MOST_SHOWN}:", *bad[:MOST_SHOWN]]
    pytest.fail("\n".join(shown), pytrace=False)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("reader", READERS, ids=ids)
def test_readers_refuse_or_read(reader, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  few = min(SHORT, reader.inputs // 10)
  counts, bad = fuzz(reader, tmp_path, range(few))
  check(bad)
  assert counts.total() == few


@pytest.fixture(scope="module")
def table():
  rows = []
  yield rows
  width = max(map(len, ids))
  print(f"\n{'reader':<{width}}  inputs  accepted  refused  other    secs")
  total = collections.Counter()
  for name, counts, secs in [*rows, ("all", total, sum(r[2] for r in rows))]:
    print(
      f"{name:<{width}} {counts.total():>7} {counts['accepted']:>9}"
      f" {counts['refused']:>8} {counts['other']:>6} {secs:>7.1f}"
    )
    total += counts if name != "all" else {}


@pytest.mark.chaos
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("reader", READERS, ids=ids)
def test_a_hundred_thousand_inputs(reader, tmp_path, monkeypatch, table):
  monkeypatch.chdir(tmp_path)
  numbers = range(reader.inputs)
  if one := os.environ.get("JFT_FUZZ"):
    name, _, number = one.rpartition(":")
    if name != reader.name:
      pytest.skip(f"JFT_FUZZ asks for {name}")
    numbers = [int(number)]
  started = time.monotonic()
  counts, bad = fuzz(reader, tmp_path, numbers)
  table.append((reader.name, counts, time.monotonic() - started))
  check(bad)


def test_the_long_form_is_long_enough():
  assert sum(reader.inputs for reader in READERS) >= 100_000


@pytest.mark.parametrize("reader", READERS, ids=ids)
def test_what_is_damaged_was_sound(reader, tmp_path):
  if reader.make is None:
    reader.prepare(tmp_path)
    reader.read(tmp_path, reader.seeds()[0])


def test_the_same_number_is_the_same_input():
  for reader in READERS:
    seeds = list(reader.seeds())
    first, again = (
      [reader.draw(np.random.default_rng(n), seeds) for n in range(5)]
      for _ in range(2)
    )
    assert first == again
