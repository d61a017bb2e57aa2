"""What augmentation adds to a training step of ResNet-50 on 224 pixels.

  python benchmarks/augment.py [batch size]

Both are compiled alone and run on drawn pictures: seconds of all cores
together (CPU), of the clock elsewhere, the median of five. Results go to
benchmarks/results/augment.json.
"""

import json
import pathlib
import statistics
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax
import recipes

from jft import augment, net, optim, tasks
from jft.augment import policies
from jft.state import TrainState
from jft.step import make_train_step
from jft.tuning import freeze

RESULTS = pathlib.Path(__file__).parent / "results" / "augment.json"
CHANGES = {
  "rand_augment": augment.on_images([policies.rand_augment()]),
  "mixup": augment.mix(mixup=0.2, classes=10),
}


def median_secs(run) -> float:
  clock = time.process_time if jax.default_backend() == "cpu" else time.time
  times = []
  for i in range(6):
    start = clock()
    jax.block_until_ready(run(jax.random.key(i)))
    times.append(clock() - start)
  return statistics.median(times[1:])  # The first one compiles.


def main():
  rows = int(sys.argv[1]) if len(sys.argv) > 1 else 8
  rng = np.random.default_rng(0)
  batch = {
    "image": jnp.asarray(rng.random((rows, 224, 224, 3), np.float32)),
    "label": jnp.arange(rows) % 10,
    "mask": jnp.ones(rows),
    "id": jnp.arange(rows),
  }
  network = net.init("resnet50", num_classes=10, key=jax.random.key(0))
  labels = freeze.label(network.params, freeze.full(network.params))
  tx = optim.by_label(
    {name: optax.sgd(0.1) for name in ("head", "backbone")}, labels
  )
  state = TrainState.create(network, labels, tx)
  step = jax.jit(make_train_step(network.apply, tasks.classification(), tx))
  found = {"step": median_secs(lambda key: step(state, batch)[1])}
  for name, change in CHANGES.items():
    changed = jax.jit(change)
    found[name] = median_secs(lambda key, run=changed: run(key, batch)["image"])
  both = sum(found[name] for name in CHANGES)
  result = {
    "command": f"python benchmarks/augment.py {rows}",
    "device": jax.devices()[0].device_kind,
    "hardware": recipes.hardware(),
    "jax": jax.__version__,
    "batch_size": rows,
    "secs": {name: round(x, 4) for name, x in found.items()},
    "share_of_the_step": round(both / found["step"], 4),
  }
  RESULTS.write_text(json.dumps(result, indent=2) + "\n")
  print(json.dumps(result))


if __name__ == "__main__":
  main()
