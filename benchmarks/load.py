"""What loading a model costs: memory beside the model, and time.

  python benchmarks/load.py [FOLDER]   # writes 1.42 GB there, and deletes them

A BERT-large, a VGG-16, most of which is one matrix, and a GPT-2 medium, whose
matrices lie as jft keeps them, of random weights as safetensors (float32) in
the layouts of transformers and torchvision. Each row is a fresh process. Memory
is the peak of the resident set (VmHWM) over what the process took before the
load, against the bytes of the model. Time is compared with reading the same
file into fresh memory and with reading it through one buffer of 4 MiB, both in
the same state of the page cache: "cold" is after the kernel was asked to drop
the file, "warm" right after it was read. A load ends when every leaf is in
place; the file's hash is computed behind it, and is waited for by who asks.
Processor seconds are there because others may share the machine: `load_average`
says how many. Results go to benchmarks/results/load.json.
"""

import json
import os
import pathlib
import platform
import re
import subprocess
import sys
import tempfile
import time

import jax
import numpy as np

import jft
from jft import families, tree
from jft.pretrained import layouts
from jft.pretrained.formats import safetensors
from jft.pretrained.formats.lazy import Tensors

RESULTS = pathlib.Path(__file__).parent / "results" / "load.json"
TOKENS = jax.ShapeDtypeStruct((1, 8), np.int32)
IMAGE = jax.ShapeDtypeStruct((1, 224, 224, 3), np.float32)
MODELS = {  # name: what it is called with, number of outputs
  "bert_large": ({"input_ids": TOKENS, "attention_mask": TOKENS}, 2),
  "vgg16": (IMAGE, 1000),
  "gpt2_medium": ({"input_ids": TOKENS, "attention_mask": TOKENS}, 50257),
}
ROUNDS = 4
BUFFER = 4 * 2**20


def write(arch: str, folder: pathlib.Path) -> pathlib.Path:
  """Writes random weights, a tensor at a time."""
  family, config = families.preset(arch)
  inputs, outputs = MODELS[arch]
  module = family.module(config, outputs)
  shapes = jax.eval_shape(module.init, jax.random.key(0), inputs)
  table = family.dialects[0].table(config, {})
  specs = {}
  for name, leaf in tree.flatten(shapes).items():
    entry = table[name]
    stand_in = np.broadcast_to(np.float32(0), leaf.shape)
    shape = list(layouts.to_source(entry, stand_in).shape)
    if entry.part is not None:  # one tensor for query, key and value
      shape[entry.part.axis] *= entry.part.count
    specs[entry.source] = jax.ShapeDtypeStruct(tuple(shape), np.float32)
  rng = np.random.default_rng(0)

  def load(name: str) -> np.ndarray:
    return rng.standard_normal(specs[name].shape, np.float32)

  path = folder / f"{arch}.safetensors"
  safetensors.write(path, Tensors(specs, load))
  return path


def memory_mb(key: str) -> float:
  status = pathlib.Path("/proc/self/status").read_text()
  found = re.search(rf"{key}:\s+(\d+) kB", status)
  return int(found[1]) / 1024 if found else float("nan")


def child(mode: str, path: str) -> None:
  """Runs one row and prints it."""
  if mode == "load":
    _ = jft.load_pretrained  # imports it; that is no part of a load
    jax.block_until_ready(jax.numpy.zeros(8) + 1)
    pathlib.Path("/proc/self/clear_refs").write_text("5")  # forgets the peak
  before, cpu = memory_mb("VmRSS"), time.process_time()
  start = time.perf_counter()
  if mode == "load":
    kept = jft.load_pretrained(path, arch=pathlib.Path(path).stem).variables
    nbytes = sum(leaf.nbytes for leaf in jax.tree.leaves(kept))
  elif mode == "fresh":
    kept = np.fromfile(path, np.uint8)
    nbytes = kept.nbytes
  else:
    nbytes, buffer = 0, bytearray(BUFFER)
    with open(path, "rb", buffering=0) as file:
      while count := file.readinto(buffer):
        nbytes += count
  secs, cpu = time.perf_counter() - start, time.process_time() - cpu
  peak = memory_mb("VmHWM") - before
  found = {"secs": secs, "cpu_secs": cpu, "peak_mb": peak, "nbytes": nbytes}
  print(json.dumps(found))


def measure(mode: str, path: pathlib.Path, cold: bool) -> dict[str, float]:
  if cold:
    with open(path, "rb") as file:
      os.fsync(file.fileno())
      os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
  command = [sys.executable, __file__, mode, str(path)]
  env = {**os.environ, "JAX_PLATFORMS": "cpu"}
  out = subprocess.run(command, env=env, check=True, capture_output=True)
  return json.loads(out.stdout.splitlines()[-1])


def compare(path: pathlib.Path, cold: bool) -> dict[str, float]:
  """Loads and reads a file in turn, so that noise is shared."""
  found = {"load": [], "fresh": [], "buffer": []}
  for _ in range(ROUNDS):
    for mode, rows in found.items():
      rows.append(measure(mode, path, cold))
  rates = {
    mode: max(row["nbytes"] / row["secs"] / 1e9 for row in rows)
    for mode, rows in found.items()
  }
  cpu = {mode: min(r["cpu_secs"] for r in found[mode]) for mode in found}
  peak = max(row["peak_mb"] for row in found["load"])
  model = found["load"][0]["nbytes"] / 2**20
  return {
    "model_mb": round(model, 1),
    "peak_over_model": round(peak / model, 3),
    "load_gb_per_sec": round(rates["load"], 2),
    "read_into_fresh_memory_gb_per_sec": round(rates["fresh"], 2),
    "read_through_one_buffer_gb_per_sec": round(rates["buffer"], 2),
    "load_cpu_secs": round(cpu["load"], 2),
    "read_into_fresh_memory_cpu_secs": round(cpu["fresh"], 2),
    "load_average": round(os.getloadavg()[0], 1),
    "load_over_fresh_read": round(rates["load"] / rates["fresh"], 2),
    "load_over_buffered_read": round(rates["load"] / rates["buffer"], 2),
  }


def main(folder: str | None) -> None:
  results = {
    "machine": f"{platform.machine()}, {os.cpu_count()} cores",
    "jax": jax.__version__,
    "command": "python benchmarks/load.py",
  }
  for arch in MODELS:
    with tempfile.TemporaryDirectory(dir=folder) as temp:
      path = write(arch, pathlib.Path(temp))
      results[arch] = {
        "cold": compare(path, cold=True),
        "warm": compare(path, cold=False),
      }
  RESULTS.write_text(json.dumps(results, indent=2) + "\n")
  print(json.dumps(results, indent=2))


if __name__ == "__main__":
  if sys.argv[1:2] and sys.argv[1] in ("load", "fresh", "buffer"):
    child(*sys.argv[1:])
  else:
    main(sys.argv[1] if len(sys.argv) > 1 else None)
