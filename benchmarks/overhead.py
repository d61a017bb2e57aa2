"""jft's loop against a plain JAX loop, on the same model and data.

  python benchmarks/overhead.py            # the quickstart's ResNet
  python benchmarks/overhead.py minilm     # MiniLM on SST-2 (needs JFT_DATA)

The plain loop is what one would write by hand: one jitted function with
value_and_grad and optax, fed from batches that lie ready in memory. jft's loop
makes its batches while it runs, splits frozen from trained, logs the gradient
norm and keeps its metrics. Rounds alternate in one process; the ratio is taken
within each round. Results go to benchmarks/results/overhead.json.
"""

import contextlib
import functools
import itertools
import json
import os
import pathlib
import statistics
import sys
import time

import jax
import optax
import recipes

from jft import config as configs
from jft import losses, optim, tasks
from jft.build import build
from jft.cli import flags
from jft.loop import training_steps

RESULTS = pathlib.Path(__file__).parent / "results" / "overhead.json"
STEPS = {"resnet": 60, "minilm": 12}
ROUNDS = {"resnet": 7, "minilm": 9}


def recipe(name: str):
  if name == "resnet":
    return configs.load(
      "quickstart",
      ["tune.preset=full", "tune.blocks=0", "tune.head_first=0.0"],
    )
  # One padded length, so that both loops run one program.
  return configs.load("sst2_minilm", ["data.buckets=1", "data.max_length=48"])


def plain_loop(run, config, batches):
  """Returns advance(steps) -> seconds, of a loop without jft."""
  schedule = run.tuning.rates["backbone"]
  tx = optax.chain(
    optax.clip_by_global_norm(config.optim.clip_norm),
    optax.adamw(
      schedule,
      weight_decay=config.optim.weight_decay,
      mask=optim.decay_mask(),
    ),
  )
  variables = jax.tree.map(jax.numpy.copy, run.net.variables)
  params = variables.pop("params")
  carry = params, variables, tx.init(params), jax.random.key(0)

  @functools.partial(jax.jit, donate_argnums=0)
  def step(carry, batch):
    params, collections, opt_state, key = carry
    key, dropout = jax.random.split(key)

    def loss_fn(params):
      outputs, new = run.net.apply(
        {"params": params, **collections},
        tasks.model_inputs(batch),
        train=True,
        rngs={"dropout": dropout},
        mutable=list(collections),
      )
      loss = losses.softmax_cross_entropy(outputs["logits"], batch["label"])
      return loss.mean(), new

    (loss, collections), grads = jax.value_and_grad(loss_fn, has_aux=True)(
      params
    )
    updates, opt_state = tx.update(grads, opt_state, params)
    params = optax.apply_updates(params, updates)
    return (params, collections, opt_state, key), loss

  endless = itertools.cycle(batches)

  def advance(steps: int) -> float:
    nonlocal carry
    start = time.perf_counter()
    for batch in itertools.islice(endless, steps):
      carry, loss = step(carry, batch)
    jax.block_until_ready(loss)
    return time.perf_counter() - start

  return advance


def jft_loop(run):
  """Returns advance(steps) -> seconds, of jft's own loop."""
  state, done = run.step_at(0).replicate(run.state), 0

  def advance(steps: int) -> float:
    nonlocal state, done
    start = time.perf_counter()
    batches = run.train_batches(done, done + steps, 0)
    with contextlib.closing(batches):
      for info in training_steps(run.step_at, state, batches, done):
        state = info.state
    jax.block_until_ready(info.metrics)
    done += steps
    return time.perf_counter() - start

  return advance


def measure(name: str) -> dict:
  config = recipe(name)
  flags.for_config(config)
  run = build(config)
  batches = [run.splits.train.batch_at(i) for i in range(STEPS[name])]
  ours, plain = jft_loop(run), plain_loop(run, config, batches)
  for advance in (ours, plain):
    advance(STEPS[name])  # Compiles, and fills caches.
  rounds = [
    (ours(STEPS[name]), plain(STEPS[name])) for _ in range(ROUNDS[name])
  ]
  ratios = sorted(a / b for a, b in rounds)
  per_step = [
    1e3 * statistics.median(x) / STEPS[name] for x in zip(*rounds, strict=True)
  ]
  return {
    "model": run.net.spec.source,
    "batch": {k: list(v.shape) for k, v in batches[0].items()},
    "steps_per_round": STEPS[name],
    "rounds": ROUNDS[name],
    "jft_ms_per_step": round(per_step[0], 3),
    "plain_ms_per_step": round(per_step[1], 3),
    "ratio_median": round(statistics.median(ratios), 4),
    "ratio_min": round(ratios[0], 4),
    "ratio_max": round(ratios[-1], 4),
    "cores": len(os.sched_getaffinity(0)),
    "jax": jax.__version__,
    "device": jax.devices()[0].device_kind,
    "command": f"python benchmarks/overhead.py {name}",
  }


def main(name: str) -> None:
  found = recipes.recorded(RESULTS)
  found[name] = measure(name)
  print(json.dumps(found[name], indent=2))
  RESULTS.parent.mkdir(exist_ok=True)
  RESULTS.write_text(json.dumps(found, indent=2, sort_keys=True) + "\n")


if __name__ == "__main__":
  main(sys.argv[1] if len(sys.argv) > 1 else "resnet")
