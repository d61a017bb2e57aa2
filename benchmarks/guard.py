"""What the guard and the digests cost a step.

  python benchmarks/guard.py            # the quickstart's ResNet, all trained
  python benchmarks/guard.py minilm     # MiniLM on SST-2 (needs JFT_DATA)

On the device: the gradient norm with the search for the first bad leaf (a
branch that a good step does not take) against the norm alone, on gradients of
the model's own shapes; the calls alternate, and what the search adds is put in
relation to the whole step. (Whole steps with and without it differ by less than
a shared machine's noise.) On the host: what a window of updates costs to judge
and to write down. Results go to benchmarks/results/guard.json.
"""

import itertools
import json
import os
import pathlib
import statistics
import sys
import tempfile
import time

import jax
import numpy as np
import optax
import overhead
import recipes

from jft import blame, guard
from jft.build import build
from jft.cli import flags
from jft.trace import TraceWriter

RESULTS = pathlib.Path(__file__).parent / "results" / "guard.json"
STEPS = {"resnet": 40, "minilm": 8}
ROUNDS = {"resnet": 9, "minilm": 7}
CALLS = 400
WINDOW = 10


def stepper(run):
  """Returns advance(steps) -> seconds over batches that lie ready."""
  step = run.step_at(0)
  state = step.replicate(run.state)
  placed = [step.place(run.splits.train.batch_at(i)) for i in range(4)]
  endless = itertools.cycle(placed)

  def advance(steps: int) -> float:
    nonlocal state
    start = time.perf_counter()
    for batch in itertools.islice(endless, steps):
      state, metrics = step(state, batch)
    jax.block_until_ready((state, metrics))
    return time.perf_counter() - start

  return advance


def host_secs(batch_size: int) -> float:
  """Returns the seconds an update costs the host, written down and judged."""
  rng = np.random.default_rng(0)
  past = tuple(rng.uniform(0.5, 1.0, 100).tolist())
  ids = rng.integers(0, 10**6, (WINDOW, batch_size), dtype=np.int32)
  numbers = rng.uniform(0.5, 1.0, (WINDOW, 2)).astype(np.float32)
  rows = [(i + 1, *numbers[i], ids[i]) for i in range(WINDOW)]
  judged = [(step, float(loss), float(norm)) for step, loss, norm, _ in rows]
  times = []
  with (
    tempfile.TemporaryDirectory() as folder,
    TraceWriter(pathlib.Path(folder)) as trace,
  ):
    for _ in range(200):
      start = time.perf_counter()
      trace.updates(0, rows)
      guard.judge(guard.Guard(), past, judged)
      times.append(time.perf_counter() - start)
  return statistics.median(times) / WINDOW


def search_secs(params) -> tuple[float, float]:
  """Returns the seconds of the norm alone, and what the search adds to it."""
  loss = jax.numpy.float32(0.5)
  grads = jax.tree.map(lambda leaf: jax.numpy.full_like(leaf, 1e-3), params)

  def norm(grads):
    return optax.tree.norm(grads)

  def guarded(grads):
    value = optax.tree.norm(grads)
    return value, blame.bad_leaf(loss, value, params, grads)

  programs = [jax.jit(program) for program in (norm, guarded)]
  times = {program: [] for program in programs}
  for turn in range(CALLS + 5):
    for program in programs if turn % 2 else programs[::-1]:
      start = time.perf_counter()
      jax.block_until_ready(program(grads))
      times[program].append(time.perf_counter() - start)
  alone, both = (times[program][5:] for program in programs)
  adds = statistics.median(b - a for a, b in zip(alone, both, strict=True))
  return statistics.median(alone), adds


def measure(name: str) -> dict:
  config = overhead.recipe(name)
  flags.for_config(config)
  run, steps = build(config), STEPS[name]
  advance = stepper(run)
  advance(steps)
  times = [advance(steps) for _ in range(ROUNDS[name])]
  step_ms = 1e3 * statistics.median(times) / steps
  norm, search = (1e3 * secs for secs in search_secs(run.state.params))
  host_ms = 1e3 * host_secs(run.batch_size)
  return {
    "model": run.net.spec.source,
    "trained_leaves": len(jax.tree.leaves(run.state.params)),
    "rounds": ROUNDS[name],
    "steps_per_round": steps,
    "calls": CALLS,
    "step_ms": round(step_ms, 3),
    "norm_ms": round(norm, 4),
    "search_ms": round(search, 4),
    "search_share": round(search / step_ms, 5),
    "host_ms_per_step": round(host_ms, 4),
    "host_share": round(host_ms / step_ms, 5),
    "cores": len(os.sched_getaffinity(0)),
    "jax": jax.__version__,
    "device": jax.devices()[0].device_kind,
    "command": f"python benchmarks/guard.py {name}",
  }


def main(name: str) -> None:
  found = recipes.recorded(RESULTS)
  found[name] = measure(name)
  print(json.dumps(found[name], indent=2))
  RESULTS.write_text(json.dumps(found, indent=2, sort_keys=True) + "\n")


if __name__ == "__main__":
  main(sys.argv[1] if len(sys.argv) > 1 else "resnet")
