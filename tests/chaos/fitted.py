"""A short run of a tiny model, left alone, and others measured against it."""

import contextlib
import dataclasses
import json
import pathlib
import shutil

import pytest
import tiny

from jft import curves, loop, report, trace


@dataclasses.dataclass(frozen=True)
class Fitted:
  """A recipe and the run that nothing happened to."""

  config: object
  workdir: pathlib.Path

  def same(self, workdir):
    """Has this run the same model, and every digest on the way there?"""
    return (
      summary(workdir)["best_sha256"] == summary(self.workdir)["best_sha256"]
      and trace.first_difference(trace.read(workdir), trace.read(self.workdir))
      is None
    )

  def resume(self, workdir):
    """Goes on with a run; returns its summary."""
    return loop.fit(self.config, workdir)


def summary(workdir):
  return json.loads((workdir / "summary.json").read_text())


@contextlib.contextmanager
def straight(tmp_path_factory, *overrides):
  """Yields a Fitted; within, runs draw no pictures."""
  with pytest.MonkeyPatch.context() as patch:
    tiny.add_preset(patch)
    patch.setattr(curves, "draw", lambda workdir: None)
    patch.setattr(report, "render", lambda workdir: None)
    folder = tmp_path_factory.mktemp("straight")
    config = tiny.recipe(tiny.write(folder), *overrides)
    loop.fit(config, folder / "run")
    yield Fitted(config, folder / "run")


def copy(folder, target):
  """Copies a folder that somebody may be writing to."""
  target.mkdir(parents=True)
  for path in sorted(folder.iterdir()):
    with contextlib.suppress(FileNotFoundError):
      if path.is_dir():
        copy(path, target / path.name)
      else:
        shutil.copyfile(path, target / path.name)
  return target
