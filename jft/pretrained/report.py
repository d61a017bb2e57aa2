"""What became of every tensor when weights were loaded."""

import collections
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

Status = Literal["loaded", "resized", "reinit", "dropped"]
ORDER: tuple[Status, ...] = ("loaded", "resized", "reinit", "dropped")
MAX_PRINTED = 40


@dataclass(frozen=True)
class Row:
  """One variable of jft, one tensor of the source, or the pair.

  Attributes:
    name: jft's name, None if the source tensor has no place.
    source: the source's name, None if it has nothing for the variable.
    status: "loaded", "resized" (loaded, then fitted), "reinit" (kept as
      initialised) or "dropped" (not used).
    shape: jft's, source_shape: the source's, in its own layout.
    reason: why it was not simply loaded, "" if it was.
  """

  name: str | None
  source: str | None
  status: Status
  shape: tuple[int, ...] | None
  source_shape: tuple[int, ...] | None
  reason: str = ""


@dataclass(frozen=True)
class Report:
  """Every row of a load; printing it shows a summary and what stands out."""

  rows: tuple[Row, ...]

  def __iter__(self) -> Iterator[Row]:
    return iter(self.rows)

  def __len__(self) -> int:
    return len(self.rows)

  def counts(self) -> dict[str, int]:
    """Returns {status: number of rows}, for the statuses that occur."""
    found = collections.Counter(row.status for row in self.rows)
    return {status: found[status] for status in ORDER if found[status]}

  def as_dict(self) -> dict[str, Any]:
    """Returns the report as plain JSON values."""
    return {
      "counts": self.counts(),
      "rows": [
        {
          k: list(v) if isinstance(v, tuple) else v
          for k, v in asdict(r).items()
        }
        for r in self.rows
      ],
    }

  def __str__(self) -> str:
    counts = ", ".join(f"{n} {status}" for status, n in self.counts().items())
    lines = [counts or "nothing to load"]
    # The same reason many times over (120 x num_batches_tracked) is one line.
    groups: dict[tuple[str, str], list[Row]] = collections.defaultdict(list)
    for row in self.rows:
      if row.status != "loaded":
        groups[row.status, row.reason].append(row)
    for (status, reason), rows in sorted(
      groups.items(), key=lambda item: ORDER.index(item[0][0])
    ):
      first = _cell(rows[0])
      more = f" and {len(rows) - 1} more" if len(rows) > 1 else ""
      lines.append(f"  {status:<8} {first}{more}: {reason}")
    if len(lines) > MAX_PRINTED:
      hidden = len(lines) - MAX_PRINTED
      lines[MAX_PRINTED:] = [f"  … {hidden} more lines in report.rows"]
    return "\n".join(lines)


def _cell(row: Row) -> str:
  # jft's shape where there is one: the source's may be in another layout.
  shape = row.shape if row.name is not None else row.source_shape
  return f"{row.name or row.source} {list(shape or ())}"
