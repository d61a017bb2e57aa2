"""What a run ran on: versions, devices, flags and the code's commit."""

import importlib.metadata
import os
import pathlib
import platform
import subprocess

import jax

from jft.typing import Any

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
    "versions": {
      "python": platform.python_version(),
      **{name: importlib.metadata.version(name) for name in _PACKAGES},
    },
    "device": {
      "platform": devices[0].platform,
      "kind": devices[0].device_kind,
      "count": len(devices),
      "processes": jax.process_count(),
    },
    "cores": len(os.sched_getaffinity(0)),
    "xla_flags": os.environ.get("XLA_FLAGS", ""),
    "git": _git(),
  }


def _git() -> dict[str, Any] | None:
  """The commit of jft's own checkout; None where it is an installed wheel."""
  root = pathlib.Path(__file__).parent.parent
  if not (root / ".git").exists():
    return None

  def git(*args: str) -> str:
    return subprocess.run(
      ["git", "-C", str(root), *args],
      capture_output=True,
      text=True,
      check=True,
      timeout=10,
    ).stdout.strip()

  try:
    status = git("status", "--porcelain")
    return {"commit": git("rev-parse", "HEAD"), "dirty": bool(status)}
  except (OSError, subprocess.SubprocessError):
    return None
