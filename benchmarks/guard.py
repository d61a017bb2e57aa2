"""What the guard and the digests cost a step.

  python benchmarks/guard.py            # the quickstart's ResNet, all trained
  python benchmarks/guard.py minilm     # MiniLM on SST-2 (needs JFT_DATA)

On the device: the compiled step with the search for the first bad leaf (a
branch that a good step does not take) against the step without it; rounds
alternate in one process and the ratio is taken within each round. On the host:
what a window of updates costs to judge and to write down, against the time of
its steps. Results go to benchmarks/results/guard.json.
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
import overhead

from jft import blame, guard
from jft.build import build
from jft.cli import flags
from jft.trace import TraceWriter

RESULTS = pathlib.Path(__file__).parent / "results" / "guard.json"
STEPS = {"resnet": 40, "minilm": 8}
ROUNDS = {"resnet": 25, "minilm": 15}
WINDOW = 10


def without_search(config):
  """Builds the run with a step that does not look for a bad leaf."""
  original = blame.bad_leaf
  blame.bad_leaf = lambda *_: jax.numpy.int32(blame.NOBODY)
  try:
    run = build(config)
    advance = stepper(run)
    advance(1)  # Traced while the search is out.
  finally:
    blame.bad_leaf = original
  return advance


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
      guard.first_incident(guard.Guard(), past, judged)
      times.append(time.perf_counter() - start)
  return statistics.median(times) / WINDOW


def measure(name: str) -> dict:
  config = overhead.recipe(name)
  flags.for_config(config)
  run, steps = build(config), STEPS[name]
  ours, bare = stepper(run), without_search(config)
  for advance in (ours, bare):
    advance(steps)
  rounds = [
    (ours(steps), bare(steps)) if i % 2 else (bare(steps), ours(steps))[::-1]
    for i in range(ROUNDS[name])
  ]
  ratios = sorted(a / b for a, b in rounds)
  step_ms = 1e3 * statistics.median(a for a, _ in rounds) / steps
  host_ms = 1e3 * host_secs(run.batch_size)
  return {
    "model": run.net.spec.source,
    "trained_leaves": len(jax.tree.leaves(run.state.params)),
    "rounds": ROUNDS[name],
    "steps_per_round": steps,
    "step_ms": round(step_ms, 3),
    "device_ratio_median": round(statistics.median(ratios), 4),
    "device_ratio_quartiles": [
      round(ratios[len(ratios) // 4], 4),
      round(ratios[3 * len(ratios) // 4], 4),
    ],
    "host_ms_per_step": round(host_ms, 4),
    "host_share": round(host_ms / step_ms, 5),
    "cores": len(os.sched_getaffinity(0)),
    "jax": jax.__version__,
    "device": jax.devices()[0].device_kind,
    "command": f"python benchmarks/guard.py {name}",
  }


def main(name: str) -> None:
  found = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
  found[name] = measure(name)
  print(json.dumps(found[name], indent=2))
  RESULTS.write_text(json.dumps(found, indent=2, sort_keys=True) + "\n")


if __name__ == "__main__":
  main(sys.argv[1] if len(sys.argv) > 1 else "resnet")
