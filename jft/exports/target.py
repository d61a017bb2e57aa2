"""What every kind of export is made of."""

import dataclasses
import pathlib

from jft.exports.subject import Subject
from jft.exports.verify import Compared
from jft.typing import Callable


@dataclasses.dataclass(frozen=True)
class Plan:
  """An export that can be made: nothing stands in its way any more.

  Attributes:
    write: writes everything into an empty folder.
    compare: reads that folder again; raises where something differs.
    opens: lines that open it, {} for its path.
    notes: what the target has no word for.
  """

  write: Callable[[pathlib.Path], None]
  compare: Callable[[pathlib.Path], Compared]
  opens: tuple[str, ...]
  notes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Target:
  """One of the things that jft exports to.

  Attributes:
    plan: subject -> plan; raises a UserError for what it cannot hold.
    about: for the command's help.
  """

  plan: Callable[[Subject], Plan]
  about: str
