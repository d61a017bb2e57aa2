"""Hundreds of files damaged; what comes back is right, or an error.

pytest -m chaos -n 0 -s tests/chaos/test_corruption.py
"""

import collections
import contextlib
import dataclasses
import logging
import os
import shutil

import jax.numpy as jnp
import numpy as np
import optax
import pytest
from chaos import fitted

import small
from jft import leaves
from jft.checkpoint import Checkpointer
from jft.errors import UserError
from jft.state import TrainState
from jft.tuning import freeze

STEPS = (10, 20, 30)
MANY, FEW = 500, 24
MANY_RUNS, FEW_RUNS = 80, 3


def damage(rng, folder):
  """Damages one file of a folder at random; returns (file, what was done)."""
  files = sorted(p for p in folder.rglob("*") if p.is_file())
  path = files[rng.integers(len(files))]
  data = bytearray(path.read_bytes())
  kinds = ["missing", "truncated", "flipped", "zeroed", "longer", "swapped"]
  kind = kinds[rng.integers(len(kinds))]
  if kind == "missing":
    path.unlink()
    return path.relative_to(folder), kind
  at = int(rng.integers(len(data))) if data else 0
  if kind == "truncated":
    data = data[:at]
  elif kind == "flipped" and data:
    data[at] ^= 1 << int(rng.integers(8))
  elif kind == "zeroed":
    data[at : at + 64] = bytes(len(data[at : at + 64]))
  elif kind == "longer":
    data += bytes(rng.integers(0, 256, 7, np.uint8))
  elif kind == "swapped":
    data = bytearray(files[rng.integers(len(files))].read_bytes())
  path.write_bytes(bytes(data))
  return path.relative_to(folder), kind


def make_state(step):
  rng = np.random.default_rng(step)
  net = small.net()
  labels = freeze.label(
    net.variables["params"], [("head/.*", "head"), (".*", "freeze")]
  )
  tx = optax.adam(1e-2)
  state = TrainState.create(net, labels, tx)
  noise = {
    "head": {
      name: jnp.asarray(rng.normal(size=leaf.shape), leaf.dtype)
      for name, leaf in state.params["head"].items()
    }
  }
  return dataclasses.replace(state, params=noise, step=jnp.int32(step))


def bits(state):
  return {k: np.asarray(v).tobytes() for k, v in leaves.plain(state).items()}


def restore(folder):
  """Returns (step or None, steps found damaged, is what came back right?)."""
  template = make_state(0)
  with contextlib.suppress(UserError), Checkpointer(folder) as ckpt:
    state = ckpt.restore_or(template)
    step = int(state.step)
    return step, set(ckpt.lost), bits(state) == bits(make_state(step))
  return None, set(), True


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
  folder = tmp_path_factory.mktemp("checkpoints")
  with Checkpointer(folder, keep_last=3, keep_best=0) as ckpt:
    for step in STEPS:
      ckpt.save(make_state(step), {"val/accuracy": 0.5}, good=True)
  return folder


def corrupt_many(saved, tmp_path, count):
  """Returns how often the newest, an older one or an error came back."""
  counts, wrong = collections.Counter(), []
  for number in range(count):
    rng = np.random.default_rng(number)
    folder = shutil.copytree(saved, tmp_path / str(number))
    what = damage(rng, folder)
    step, lost, right = restore(folder)
    # Going back to an older one, or to nothing, is never silent.
    told = step == STEPS[-1] or lost == {s for s in STEPS if s > (step or 0)}
    if step is None:
      counts["refused with an error"] += 1
    elif step == STEPS[-1]:
      counts["newest is intact and used"] += 1
    else:
      counts["older one used, and said so"] += 1
    if not right or not (told or step is None) or step == 0:
      wrong.append((number, what, step, lost))
    shutil.rmtree(folder)
  return counts, wrong


@pytest.fixture
def quiet(caplog):
  caplog.set_level(logging.CRITICAL)


def test_damaged_checkpoints(saved, tmp_path, quiet):
  counts, wrong = corrupt_many(saved, tmp_path, FEW)
  assert wrong == []
  assert counts["older one used, and said so"] > 0


@pytest.mark.chaos
def test_hundreds_of_damaged_checkpoints(saved, tmp_path, quiet):
  counts, wrong = corrupt_many(saved, tmp_path, MANY)
  print(f"\n{counts.total()} damaged files: {dict(counts)}; {len(wrong)} wrong")
  assert wrong == []


@pytest.fixture(scope="module")
def run(tmp_path_factory):
  """A run that was left alone, and one that was cut off on its way."""
  overrides = ("train.steps=8", "checkpoint.keep_last=3", "eval.every_steps=2")
  with fitted.straight(tmp_path_factory, *overrides) as straight:
    cut = tmp_path_factory.mktemp("cut") / "run"
    from jft import loop

    loop.fit(straight.config, cut, until=5)
    yield straight, cut


def corrupt_runs(run, tmp_path, count):
  straight, cut = run
  counts, wrong = collections.Counter(), []
  for number in range(count):
    rng = np.random.default_rng([1, number])
    folder = shutil.copytree(cut, tmp_path / str(number))
    what = damage(rng, folder)
    try:
      straight.resume(folder)
    except UserError:
      counts["refused with an error"] += 1
    else:
      counts["went on"] += 1
      # The records of the past may have been what was damaged. The model is
      # the same to the bit, unless the best checkpoint itself was, which is
      # told.
      ours, theirs = map(fitted.summary, (folder, straight.workdir))
      if ours["damaged_checkpoints"]:
        counts["of these, said that a checkpoint is damaged"] += 1
      if ours["best_sha256"] != theirs["best_sha256"]:
        counts["of these, have another best model"] += 1
        lost_best = any(
          f"checkpoint {theirs['best_step']} is damaged" in line
          for line in ours["damaged_checkpoints"]
        )
        if not lost_best:
          wrong.append((number, what, ours["damaged_checkpoints"]))
    shutil.rmtree(folder)
  return counts, wrong


def test_damaged_runs(run, tmp_path, quiet):
  counts, wrong = corrupt_runs(run, tmp_path, FEW_RUNS)
  assert wrong == []
  assert counts["went on"] > 0


@pytest.mark.chaos
def test_dozens_of_damaged_runs(run, tmp_path, quiet):
  counts, wrong = corrupt_runs(run, tmp_path, MANY_RUNS)
  print(f"\n{MANY_RUNS} damaged runs: {dict(counts)}; {len(wrong)} wrong")
  assert wrong == []
  assert os.listdir(tmp_path) == []
