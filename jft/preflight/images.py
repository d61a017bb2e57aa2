"""Are the images readable, of sensible size, and not blank?"""

import dataclasses
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from jft.data.perceptual import look
from jft.data.source import origin, where
from jft.errors import UserError
from jft.preflight.finding import Finding, percent, some
from jft.typing import Any, Mapping

LONG = 4.0
"""An aspect ratio above this loses most of the picture."""
SMALL = 0.5
"""A longer side below this share of the model's is mostly interpolation."""
BLANK = 2.0
"""Grey levels between the darkest and the lightest pixel, at most."""
_MOST = 0.5  # Above this share it is how the set is, not a slip.


@dataclasses.dataclass(frozen=True, eq=False)
class Seen:
  """What one pass over a split's images found, one row an image that reads.

  Attributes:
    index: Int64[n] in the source.
    sizes: Int64[n 2], height and width.
    blank, grey: Bool[n].
    hashes, thumbnails: as in `jft.data.perceptual.Looks`.
    unreadable: {index: reason}.
    looked: how many were tried.
  """

  index: np.ndarray
  sizes: np.ndarray
  blank: np.ndarray
  grey: np.ndarray
  hashes: np.ndarray
  thumbnails: np.ndarray
  unreadable: Mapping[int, str]
  looked: int


def survey(source: Any, index: np.ndarray) -> Seen:
  """Decodes these images once, on several threads, and keeps what is needed.

  Args:
    source: of {"image", ...}.
    index: Int64[n], which ones.
  """
  with ThreadPoolExecutor() as pool:
    rows = list(pool.map(lambda i: _row(source, int(i)), index))
  bad = {
    int(i): row
    for i, row in zip(index, rows, strict=True)
    if isinstance(row, str)
  }
  good = [row for row in rows if not isinstance(row, str)]
  kept = np.array([i for i in index.tolist() if i not in bad], np.int64)
  sizes, blank, grey, hashes, thumbnails = (
    zip(*good, strict=True) if good else ((),) * 5
  )
  return Seen(
    kept,
    np.array(sizes, np.int64).reshape(-1, 2),
    np.array(blank, bool),
    np.array(grey, bool),
    np.array(hashes, np.uint64),
    np.array(thumbnails, np.uint8).reshape(len(good), -1),
    bad,
    len(index),
  )


def check(
  sources: Mapping[str, Any], seen: Mapping[str, Seen], side: int
) -> list[Finding]:
  """Judges the images of all splits.

  Args:
    sources: {split: source}.
    seen: {split: its survey}.
    side: of the model's square input, in pixels.
  """
  looked = sum(s.looked for s in seen.values())
  found = [*_unreadable(sources, seen, looked), *_skipped(sources)]
  rows = [
    (sources[split], int(i), s, at)
    for split, s in seen.items()
    for at, i in enumerate(s.index)
  ]
  if not rows:
    return found

  def named(rows) -> list[str]:
    return [where(source, i) for source, i, _, _ in rows]

  blank = [r for r in rows if r[2].blank[r[3]]]
  if blank:
    found.append(_told("warning", named(blank), looked, *_WORDS["blank"]))
  long = [r for r in rows if _aspect(r[2].sizes[r[3]]) > LONG]
  if long:
    found.append(_told("warning", named(long), looked, *_WORDS["long"]))
  small = [r for r in rows if max(r[2].sizes[r[3]]) < SMALL * side]
  if small:
    level = "note" if len(small) > _MOST * len(rows) else "warning"
    what, advice = _WORDS["small"]
    what = what.format(side=side)
    found.append(_told(level, named(small), looked, what, advice))
  grey = [r for r in rows if r[2].grey[r[3]] and not r[2].blank[r[3]]]
  if 0 < len(grey) < _MOST * len(rows):
    found.append(_told("note", named(grey), looked, *_WORDS["grey"]))
  if not any(f.level in ("warning", "error") for f in found):
    found.insert(0, _fine(rows, looked))
  return found


_WORDS = {
  "blank": ("are of one colour all over", "Take them out."),
  "long": (
    f"are more than {LONG:g} times as long as wide (or as wide as long)",
    "Squeezed into a square they lose their shape, and a cut-out centre is"
    " little of them: crop them.",
  ),
  "small": (
    "are less than half as large as the model's input of {side} pixels",
    "Enlarging adds no detail: data.image_size could be lower.",
  ),
  "grey": ("are grey in a set of colour images", ""),
}


def _told(
  level: Any, names: list[str], looked: int, what: str, advice: str
) -> Finding:
  n = len(names)
  return Finding(
    "images",
    level,
    f"{n:,} of {looked:,} images ({percent(n, looked)}) {what}:"
    f" {some(names)}. {advice}".rstrip(),
    {"count": n, "images": names[:100]},
  )


def _fine(rows: Any, looked: int) -> Finding:
  sides = np.stack([s.sizes[at] for _, _, s, at in rows])
  (h0, w0), (h1, w1) = sides.min(0), sides.max(0)
  range_ = f"{h0} x {w0}" + (f" to {h1} x {w1}" if (h0, w0) != (h1, w1) else "")
  return Finding(
    "images",
    "ok",
    f"{looked:,} decoded, {range_} pixels (height x width).",
    {"count": looked},
  )


def _unreadable(
  sources: Mapping[str, Any], seen: Mapping[str, Seen], looked: int
) -> list[Finding]:
  reasons = {
    where(sources[split], i): reason
    for split, s in seen.items()
    for i, reason in s.unreadable.items()
  }
  if not reasons:
    return []
  n = len(reasons)
  return [
    Finding(
      "images",
      "error",
      f"{n:,} of {looked:,} images ({percent(n, looked)}) cannot be read:"
      f" {some(list(reasons))}. Mend or delete them, or leave them out with"
      " data.on_error=skip.",
      {"count": n, "images": dict(list(reasons.items())[:100])},
    )
  ]


def _skipped(sources: Mapping[str, Any]) -> list[Finding]:
  """What data.on_error=skip left out, once for each folder."""
  wholes = {id(w): w for w, _ in (origin(s, 0) for s in sources.values())}
  reasons = [r for w in wholes.values() for r in getattr(w, "skipped", ())]
  if not reasons:
    return []
  return [
    Finding(
      "images",
      "warning",
      f"{len(reasons):,} images cannot be read and are left out: "
      f"{some(reasons, 3)}.",
      {"count": len(reasons), "images": reasons[:100]},
    )
  ]


def _row(source: Any, i: int) -> Any:
  """(size, blank, grey, hash, thumbnail), or why it cannot be read."""
  try:
    image = np.asarray(source[i]["image"])
    hashed, thumbnail = look(image)
  except (UserError, TypeError, ValueError) as error:
    return str(error)
  grey = image.ndim == 2 or image.shape[2] == 1
  if not grey and image.shape[2] >= 3:
    grey = bool((image[..., :1] == image[..., 1:3]).all())
  blank = int(image.max()) - int(image.min()) <= BLANK
  return image.shape[:2], blank, grey, hashed, thumbnail


def _aspect(size: np.ndarray) -> float:
  return float(max(size) / min(size))
