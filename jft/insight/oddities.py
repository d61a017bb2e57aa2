"""What is unusual about a model's tensors, each read once and let go."""

import dataclasses
import hashlib
import re

import jax.numpy as jnp
import numpy as np

from jft.preflight.finding import Finding, Level, some
from jft.typing import Callable, Iterable, Iterator

FAR = 30.0
"""A kernel this many times larger or smaller than its like is told."""
_LIKE = 4  # blocks; among fewer, none is the odd one out
_FLAT = 1e-10  # a BatchNorm's variance of a channel that never moved
_HALF_MAX = 65504.0


@dataclasses.dataclass(frozen=True)
class Tensor:
  """One tensor on its way past.

  Attributes:
    name: jft's, or the source's for one that jft has no place for.
    array: as jft holds it, in the dtype that is on disk.
    used: whether the model has it.
  """

  name: str
  array: np.ndarray
  used: bool = True


@dataclasses.dataclass(frozen=True)
class _Facts:
  """What is remembered of a tensor.

  Attributes:
    bad: values that are NaN or infinite; low, high: of the others.
    size: the root of their mean square.
    digest: of the values and the shape; "" for a vector (two biases that
      are added to one another stay equal through a training) and a constant.
    dead: rows of an embedding, or outputs of a kernel, that are all zero; rows:
      how many there are.
    flat: channels of a BatchNorm whose variance is next to nothing.
  """

  name: str
  used: bool
  count: int
  bad: int
  low: float
  high: float
  size: float
  digest: str
  dead: tuple[int, ...]
  rows: int
  flat: int


def find(tensors: Iterable[Tensor]) -> list[Finding]:
  """Returns what stands out, the worst first; nothing for sound weights.

  Args:
    tensors: any number of them; no more than one is held at a time.
  """
  seen = [_facts(tensor) for tensor in tensors if _counts(tensor.array)]
  used = [facts for facts in seen if facts.used]
  found = [
    *_bad(used),
    *_variances(used),
    *_constants(used),
    *_dead(used),
    *_scales(used),
    *_large(used),
    *_equal(seen),
  ]
  order: tuple[Level, ...] = ("error", "warning", "note", "ok")
  return sorted(found, key=lambda finding: order.index(finding.level))


def _counts(array: np.ndarray) -> bool:
  return array.size > 0 and bool(jnp.issubdtype(array.dtype, jnp.floating))


def _facts(tensor: Tensor) -> _Facts:
  array = tensor.array
  if array.dtype.itemsize < 4:
    array = array.astype(np.float32)  # NumPy knows no bfloat16
  bad = array.size - int(np.isfinite(array).sum())
  sound = array[np.isfinite(array)] if bad else array
  low, high = (sound.min(), sound.max()) if sound.size else (0.0, 0.0)
  dead, rows = _dead_rows(tensor.name, array)
  return _Facts(
    tensor.name,
    tensor.used,
    array.size,
    bad,
    float(low),
    float(high),
    # A dot product takes no memory of the array's size.
    float(np.sqrt(np.vdot(sound, sound) / max(sound.size, 1))),
    _digest(array) if array.ndim > 1 and low != high else "",
    dead,
    rows,
    int((array < _FLAT).sum()) if _is_variance(tensor.name) else 0,
  )


def _dead_rows(name: str, array: np.ndarray) -> tuple[tuple[int, ...], int]:
  kind = name.rpartition("/")[2]
  if array.ndim < 2 or kind not in ("embedding", "kernel"):
    return (), 0
  axis = 0 if kind == "embedding" else array.ndim - 1
  others = tuple(i for i in range(array.ndim) if i != axis)
  alive = np.any(array, axis=others)
  return tuple(np.flatnonzero(~alive).tolist()), array.shape[axis]


def _digest(array: np.ndarray) -> str:
  sha = hashlib.blake2b(repr(array.shape).encode(), digest_size=16)
  sha.update(np.ascontiguousarray(array).data)
  return sha.hexdigest()


def _is_variance(name: str) -> bool:
  return name.startswith("batch_stats/") and name.endswith("/var")


def _bad(seen: list[_Facts]) -> Iterator[Finding]:
  for facts in seen:
    if facts.bad:
      yield Finding(
        "values",
        "error",
        f"{facts.name}: {facts.bad:,} of {facts.count:,} values are NaN or"
        " infinite; the file is damaged or of a diverged run, and will not"
        " load.",
      )


def _variances(seen: list[_Facts]) -> Iterator[Finding]:
  stats = [facts for facts in seen if _is_variance(facts.name)]
  for facts in stats:
    if facts.low < 0:
      yield Finding(
        "BatchNorm",
        "error",
        f"{facts.name}: a running variance is {facts.low:.3g}, below zero.",
      )
  flat = [f"{f.name} ({f.flat} of {f.count})" for f in stats if f.flat]
  if flat:
    yield Finding(
      "BatchNorm",
      "note",
      f"channels with a variance below {_FLAT:g} never moved in training:"
      f" {some(flat)}.",
    )
  huge = [f"{f.name} ({f.high:.2g})" for f in stats if f.high > 1e6]
  if huge:
    yield Finding(
      "BatchNorm", "warning", f"running variances above 1e6: {some(huge)}."
    )


def _constants(seen: list[_Facts]) -> Iterator[Finding]:
  same = [f for f in seen if f.count > 1 and f.low == f.high and not f.bad]
  parts: list[tuple[str, Level, Callable[[_Facts], bool], str]] = [
    ("zeros", "warning", _is_weight, "computes nothing until it is trained"),
    ("zeros", "note", lambda f: not _is_weight(f), "biases often are"),
  ]
  for check, level, fits, why in parts:
    names = [f.name for f in same if f.low == 0 and fits(f)]
    if names:
      text = f"{len(names)} all-zero: {some(names, 3)}; {why}."
      yield Finding(check, level, text)
  names = [f"{f.name} ({f.low:g})" for f in same if f.low != 0]
  if names:
    text = f"{len(names)} hold one value alone: {some(names, 3)}; untrained?"
    yield Finding("constant", "note", text)


def _is_weight(facts: _Facts) -> bool:
  return facts.name.endswith(("/kernel", "/embedding", "/scale"))


def _dead(seen: list[_Facts]) -> Iterator[Finding]:
  for facts in seen:
    if facts.dead and len(facts.dead) < facts.rows:
      what = "rows" if facts.name.endswith("embedding") else "outputs"
      yield Finding(
        "zeros",
        "note",
        f"{facts.name}: {len(facts.dead):,} of {facts.rows:,} {what} are"
        f" all-zero: {some(facts.dead)}.",
      )


def _scales(seen: list[_Facts]) -> Iterator[Finding]:
  """Kernels far from the median of the same kernel in all blocks."""
  like: dict[str, list[_Facts]] = {}
  for facts in seen:
    if facts.name.endswith(("/kernel", "/scale")) and facts.low != facts.high:
      key = re.sub(r"block_\d+", "block_*", facts.name)
      like.setdefault(key, []).append(facts)
  for key, group in like.items():
    if len(group) < _LIKE:
      continue
    usual = float(np.median([facts.size for facts in group]))
    for facts in group:
      if not usual / FAR <= facts.size <= usual * FAR:
        yield Finding(
          "scale",
          "warning",
          f"{facts.name}: values of about {facts.size:.2g}, where {key} has"
          f" {usual:.2g}.",
        )


def _large(seen: list[_Facts]) -> Iterator[Finding]:
  names = [
    f"{f.name} ({max(-f.low, f.high):.2g})"
    for f in seen
    if max(-f.low, f.high) > _HALF_MAX and not _is_variance(f.name)
  ]
  if names:
    text = f"values above what float16 can hold (65504): {some(names)}."
    yield Finding("scale", "warning", text)


def _equal(seen: list[_Facts]) -> Iterator[Finding]:
  groups: dict[str, list[str]] = {}
  for facts in seen:
    if facts.digest:
      groups.setdefault(facts.digest, []).append(facts.name)
  for names in groups.values():
    if len(names) > 1:
      text = f"equal value for value, as tied weights are: {', '.join(names)}."
      yield Finding("tied", "note", text)
