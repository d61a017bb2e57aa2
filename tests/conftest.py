"""Eight simulated devices, real data where it lies, one small model."""

import os
import pathlib

# Before jax is imported anywhere: eight devices on one CPU.
os.environ["XLA_FLAGS"] = (
  os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"
).strip()
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import pytest


@pytest.fixture(scope="session")
def jft_data() -> pathlib.Path:
  """The folder of real data sets and weights, or a skip that says why."""
  folder = os.environ.get("JFT_DATA")
  if not folder:
    pytest.skip("JFT_DATA is not set: it names the folder of real data sets")
  return pathlib.Path(folder)
