"""Eight simulated devices, real data where it lies, one small model."""

import gc
import importlib.metadata
import os
import pathlib

# Before jax is imported anywhere: eight devices on one CPU, and the former
# compiler of fused loops, which takes two thirds of the time. A flag that XLA
# does not know ends the process, so that one is for the jaxlib that has it.
os.environ["XLA_FLAGS"] = " ".join(
  (
    os.environ.get("XLA_FLAGS", ""),
    "--xla_force_host_platform_device_count=8",
    "--xla_cpu_use_fusion_emitters=false"
    " --xla_cpu_parallel_codegen_split_count=1"
    if importlib.metadata.version("jaxlib").startswith("0.10.")
    else "",
  )
).strip()
os.environ.setdefault("JAX_PLATFORMS", "cpu")
# As JAX's own tests: most of the time goes into compiling what runs once.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")

import jax
import pytest

# Tracing makes many small objects, hardly one of them in a circle: a tenth of
# the time went into looking for circles.
gc.set_threshold(100_000, 50, 50)


@pytest.fixture(scope="session")
def jft_data() -> pathlib.Path:
  """The folder of real data sets and weights, or a skip that says why."""
  folder = os.environ.get("JFT_DATA")
  if not folder:
    pytest.skip("JFT_DATA is not set: it names the folder of real data sets")
  return pathlib.Path(folder)


@pytest.fixture(scope="session", autouse=True)
def compiled_once(tmp_path_factory):
  """Equal programs are compiled once, by all workers and their processes."""
  base = tmp_path_factory.getbasetemp()
  base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
  given = os.environ.get("JAX_COMPILATION_CACHE_DIR")
  settings = {
    "jax_compilation_cache_dir": given or str(base / "compiled"),
    "jax_persistent_cache_min_compile_time_secs": 0.1,
    "jax_persistent_cache_min_entry_size_bytes": 0,
  }
  for name, value in settings.items():
    jax.config.update(name, value)
    os.environ[name.upper()] = str(value)
