"""One export: planned, written beside, read again, compared, then named."""

import dataclasses
import pathlib
import types

from jft import atomic, environment
from jft.errors import UserError, did_you_mean
from jft.exports import folders, peft, programs, subject
from jft.exports.merged import merged
from jft.exports.subject import Subject
from jft.exports.target import Target
from jft.exports.verify import Compared
from jft.net import Net
from jft.typing import Any, Mapping, Sequence
from jft.writers import write_json

TARGETS: Mapping[str, Target] = types.MappingProxyType(
  {**folders.TARGETS, **peft.TARGETS, **programs.TARGETS}
)
FILE = "export.json"


@dataclasses.dataclass(frozen=True)
class Exported:
  """What was written.

  Attributes:
    path: the folder; to: the target.
    files: {name in it: bytes}.
    compared: on what, and how far apart.
    notes: what the target has no word for.
    opens: lines that open it.
  """

  path: pathlib.Path
  to: str
  files: Mapping[str, int]
  compared: Compared
  notes: Sequence[str]
  opens: Sequence[str]


def export(
  net: Net, to: str, path: str | pathlib.Path, *, overwrite: bool = False
) -> Exported:
  """Writes a network for another library, or as a program of its own.

  The folder appears once all in it has been read again and has given the
  network's own outputs; otherwise nothing is left.

  Args:
    net: what to export.
    to: "hf", "timm", "torchvision", "keras", "safetensors", "msgpack",
      "orbax", "peft", "llama2c", "stablehlo", "onnx" or "savedmodel". All but
      "peft" get adapters merged into the weights.
    path: the folder to make.
    overwrite: take the place of an earlier export.

  Raises:
    UserError: for a structure that the target cannot hold, before anything is
      written; for a folder that is there; or if what was written differs.
  """
  return write(subject.of_net(net), to, path, overwrite=overwrite)


def write(
  subject: Subject,
  to: str,
  path: str | pathlib.Path,
  *,
  overwrite: bool = False,
) -> Exported:
  """Writes a subject; see `export`."""
  path = pathlib.Path(path)
  check_request(to, path, overwrite)
  if to not in peft.TARGETS:
    subject = merged(subject)
  plan = TARGETS[to].plan(subject)
  notes = (*subject.notes, *plan.notes)
  try:
    with atomic.new_folder(path, replace=overwrite) as partial:
      plan.write(partial)
      compared = plan.compare(partial)
      opens = [line.replace("{}", str(path)) for line in plan.opens]
      _describe(partial, subject, to, compared, notes, opens)
  except FileExistsError as error:
    raise UserError(f"{path} appeared meanwhile; nothing was kept.") from error
  files = {
    file.relative_to(path).as_posix(): file.stat().st_size
    for file in sorted(path.rglob("*"))
    if file.is_file()
  }
  return Exported(path, to, files, compared, notes, opens)


def check_request(to: str, path: pathlib.Path, overwrite: bool) -> None:
  """Checks what can be checked before anything is loaded.

  Raises:
    UserError: for an unknown target, or a folder that is there.
  """
  if to not in TARGETS:
    raise UserError(
      f"to={to!r} is none of {', '.join(TARGETS)}.{did_you_mean(to, TARGETS)}"
    )
  if path.is_dir() and not any(path.iterdir()):
    return
  if not path.exists() and not path.is_symlink():
    return
  if not overwrite:
    raise UserError(
      f"{path} is there already: give another --out, or --overwrite"
      " (overwrite=True)."
    )
  if not (path / FILE).is_file() or path.is_symlink():
    raise UserError(
      f"{path} holds no {FILE}, so it is no earlier export, and is not"
      " overwritten; delete it yourself."
    )


def _describe(
  folder: pathlib.Path,
  subject: Subject,
  to: str,
  compared: Compared,
  notes: Sequence[str],
  opens: Sequence[str],
) -> None:
  spec = subject.spec
  found: dict[str, Any] = {
    "to": to,
    "from": subject.title,
    "family": spec.family,
    "label_names": list(spec.label_names),
    "compared": dataclasses.asdict(compared),
    "notes": list(notes),
    "opens": list(opens),
    "versions": environment.versions(),
  }
  write_json(folder / FILE, found)
