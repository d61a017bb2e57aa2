"""A local folder made from what an index of a remote run names."""

import logging
import pathlib
import shutil
from typing import Any

from jft.errors import UserError
from jft.store.ledger import Index
from jft.store.remote import Remote

_log = logging.getLogger(__name__)


def pull(store: Remote, index: Index, local: pathlib.Path) -> None:
  """Makes `local` what an index says; it appears complete or not at all.

  What was there is kept as `<local>.old`. A damaged object is left out, with a
  warning: a checkpoint without it counts as damaged, and the one before it is
  gone on from.

  Raises:
    UserError: if `run.json` cannot be had, so that nothing can be gone on with.
  """
  partial = local.with_name(f"{local.name}.partial")
  shutil.rmtree(partial, ignore_errors=True)
  for path, row in index.files.items():
    target = partial / path
    target.parent.mkdir(parents=True, exist_ok=True)
    if not _fetched(store, row, target):
      target.unlink(missing_ok=True)
      _log.warning("%s/%s is damaged; left out", store.url, row["object"])
      if path == "run.json":
        raise UserError(f"{store.url}/{row['object']} is damaged.")
  old = local.with_name(f"{local.name}.old")
  if local.exists():
    shutil.rmtree(old, ignore_errors=True)
    local.rename(old)
  partial.rename(local)


def _fetched(store: Remote, row: Any, target: pathlib.Path) -> bool:
  for _ in range(2):
    try:
      if store.download(row["object"], target) == row["sha256"]:
        return True
    except FileNotFoundError:
      return False
  return False
