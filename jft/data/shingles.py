"""Texts that say almost the same: MinHash to find them, sets to be sure.

A text is the set of its runs of five letters. The share of equal minima of 64
hash functions estimates the Jaccard similarity of two sets, and 16 bands of
four minima each find nearly every pair that is at least 0.8 alike.
"""

import re
from collections.abc import Sequence

import numpy as np

from jft.rng import generator

SIZE = 5
"""Characters of a shingle."""
JACCARD = 0.8
"""Share of the shingles of two texts that both have, at least."""
_PERMUTATIONS = 64
_BANDS = 16
_CHUNK = 2**17  # Characters hashed at once: few enough for the cache.
_MOST = 64  # Texts of one bucket that are looked at.
_SPACES = re.compile(r"[\W_]+")


def normal(text: str) -> str:
  """Returns a text as it is compared: case, spaces, punctuation set aside.

  >>> normal("  Don't   PANIC! ")
  ' don t panic '
  """
  return f" {_SPACES.sub(' ', text.lower()).strip()} "


def shingles(text: str) -> set[str]:
  """Returns the runs of `SIZE` characters of a normal text.

  >>> sorted(shingles("Panic"))
  [' pani', 'anic ', 'panic']
  """
  text = normal(text).ljust(SIZE)
  return {text[i : i + SIZE] for i in range(len(text) - SIZE + 1)}


def jaccard(a: str, b: str) -> float:
  """Returns the share of two texts' shingles that both have."""
  ours, theirs = shingles(a), shingles(b)
  return len(ours & theirs) / len(ours | theirs)


def signatures(texts: Sequence[str]) -> np.ndarray:
  """Returns UInt32[n 64], the least hash of each text's shingles, 64 times.

  Source: Broder, "On the resemblance and containment of documents" (1997).
  """
  found, chunk, size = [], [], 0
  for text in texts:
    chunk.append(normal(text).ljust(SIZE))
    size += len(chunk[-1])
    if size > _CHUNK:
      found.append(_minima(chunk))
      chunk, size = [], 0
  if chunk:
    found.append(_minima(chunk))
  return np.concatenate(found)


def near_pairs(
  ours: Sequence[str], theirs: Sequence[str], least: float = JACCARD
) -> list[tuple[int, int, float]]:
  """Returns (our index, their index, Jaccard): the best match of each of ours.

  Of the texts that share a bucket the first 64 are looked at; the Jaccard
  similarity is that of the true sets.
  """
  if not ours or not theirs:
    return []
  mine, yours = signatures(ours), signatures(theirs)
  candidates = _candidates(mine, yours)
  pairs = []
  for i, js in candidates.items():
    alike = (yours[js] == mine[i]).mean(1)
    # Four standard deviations below: the estimate is only a first look.
    js = js[alike >= least - 0.2]
    scores = [jaccard(ours[i], theirs[int(j)]) for j in js]
    if scores and max(scores) >= least:
      best = int(np.argmax(scores))
      pairs.append((i, int(js[best]), scores[best]))
  return pairs


def _minima(texts: list[str]) -> np.ndarray:
  """The signatures of normal texts of at least `SIZE` characters."""
  letters = np.frombuffer("".join(texts).encode("utf-32-le"), np.uint32)
  lengths = np.array([len(text) for text in texts])
  ends = np.cumsum(lengths)
  hashed = np.zeros(len(letters) - SIZE + 1, np.uint64)
  for shift in range(SIZE):
    hashed = _mix(hashed ^ letters[shift : len(hashed) + shift])
  # The last starts of each text run into the next one.
  within = np.ones(len(letters), bool)
  for shift in range(1, SIZE):
    within[ends - shift] = False
  hashed = hashed[within[: len(hashed)]]
  counts = lengths - SIZE + 1
  starts = np.cumsum(counts) - counts
  keys = generator(0, "minhash").integers(2**63, size=(_PERMUTATIONS, 2))
  high = np.uint64(32)
  columns = [
    np.minimum.reduceat((hashed * (2 * a + 1) + b) >> high, starts)
    for a, b in keys.astype(np.uint64)
  ]
  return np.stack(columns, axis=1).astype(np.uint32)


def _mix(x: np.ndarray) -> np.ndarray:
  """A bijection of 64 bits (Steele et al., 2014, SplitMix64)."""
  x = x + np.uint64(0x9E3779B97F4A7C15)
  x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
  return x ^ (x >> np.uint64(31))


def _candidates(mine: np.ndarray, yours: np.ndarray) -> dict[int, np.ndarray]:
  """{our index: their indices that share a band}."""
  found: dict[int, list[np.ndarray]] = {}
  rows = _PERMUTATIONS // _BANDS
  for first in range(0, _PERMUTATIONS, rows):
    a, b = (_keys(x[:, first : first + rows]) for x in (mine, yours))
    order = np.argsort(b, kind="stable")
    left = np.searchsorted(b[order], a, "left")
    right = np.searchsorted(b[order], a, "right")
    for i in np.flatnonzero(right > left):
      stop = min(right[i], left[i] + _MOST)
      found.setdefault(int(i), []).append(order[left[i] : stop])
  return {i: np.unique(np.concatenate(js)) for i, js in found.items()}


def _keys(band: np.ndarray) -> np.ndarray:
  key = np.zeros(len(band), np.uint64)
  for column in band.T:
    key = _mix(key ^ column)
  return key
