"""What a run ran on: versions, devices, flags and the code's commit."""

import hashlib
import importlib.metadata
import os
import pathlib
import platform
import subprocess

import jax

from jft.typing import Any

_ROOT = pathlib.Path(__file__).parent.parent
_PACKAGES = (
  "jft",
  "jax",
  "jaxlib",
  "flax",
  "optax",
  "orbax-checkpoint",
  "numpy",
  "safetensors",
  "tokenizers",
)


def describe() -> dict[str, Any]:
  """Returns the environment as plain JSON values, for `run.json`."""
  devices = jax.devices()
  return {
    "versions": versions(),
    "device": {
      "platform": devices[0].platform,
      "kind": devices[0].device_kind,
      "count": len(devices),
      "processes": jax.process_count(),
    },
    "cores": len(os.sched_getaffinity(0)),
    "xla_flags": os.environ.get("XLA_FLAGS", ""),
    "git": _git(_ROOT),
    # What runs, whether it lies in a checkout or in a wheel.
    "code_sha256": _code_sha256(),
  }


def versions() -> dict[str, str]:
  """Returns {package: version} of what jft computes with."""
  found = {name: importlib.metadata.version(name) for name in _PACKAGES}
  return {"python": platform.python_version(), **found}


def _code_sha256() -> str:
  """Returns one hash for the names and contents of jft's own modules."""
  sha = hashlib.sha256()
  package = pathlib.Path(__file__).parent
  for path in sorted(package.rglob("*.py")):
    data = path.read_bytes()
    sha.update(f"{path.relative_to(package).as_posix()}|{len(data)}|".encode())
    sha.update(data)
  return sha.hexdigest()


def _git(root: pathlib.Path) -> dict[str, Any] | None:
  """The commit of a checkout, and a hash of what was changed since.

  None where it is none, such as an installed wheel's folder.
  """
  if not (root / ".git").exists():
    return None

  def git(*args: str) -> bytes:
    return subprocess.run(
      ["git", "-C", str(root), *args],
      capture_output=True,
      check=True,
      timeout=10,
    ).stdout

  try:
    commit = git("rev-parse", "HEAD").decode().strip()
    diff = git("diff", "HEAD", "--binary")
    new = git("ls-files", "--others", "--exclude-standard", "-z").split(b"\0")
  except (OSError, subprocess.SubprocessError):
    return None
  sha = hashlib.sha256(diff)
  for name in filter(None, new):
    sha.update(name + b"\0" + (root / os.fsdecode(name)).read_bytes())
  dirty = bool(diff) or any(new)
  return {
    "commit": commit,
    "dirty": dirty,
    "diff_sha256": sha.hexdigest() if dirty else None,
  }
