"""Checkpoints: what is kept, what comes back, and what damage does."""

import errno
import json
import logging
import os
import pathlib
import re
import time
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from etils import epath
from variants import some

from jft import atomic, leaves
from jft.checkpoint import Checkpointer, DamagedCheckpointError
from jft.disk import catalog, manifest
from jft.errors import UserError
from jft.state import TrainState

TX = optax.partition(
  {"adam": optax.adamw(1e-2), "sgd": optax.sgd(1e-2, momentum=0.9)},
  {"body": {"kernel": "sgd", "scale": "sgd"}, "head": {"kernel": "adam"}},
)


def make_state(classes=3, tx=TX, seed=0) -> TrainState:
  rng = np.random.default_rng(seed)

  def normal(*shape):
    return jnp.asarray(rng.normal(size=shape).astype(np.float32))

  def filled(shape, dtype):
    return jnp.asarray(np.full(shape, 1 + seed, dtype))

  params = {
    "body": {"kernel": normal(4, 8), "scale": filled((8,), jnp.bfloat16)},
    "head": {"kernel": normal(8, classes)},
  }
  frozen = {
    "stem": {
      "kernel": normal(64, 64),  # large enough for a file of its own
      "bias": filled((4,), jnp.bfloat16),
      "bits": filled((), np.int8),
    }
  }
  return TrainState(
    step=jnp.zeros((), jnp.int32),
    attempt=jnp.zeros((), jnp.int32),
    params=params,
    frozen=frozen,
    model_state={"batch_stats": {"mean": jnp.ones((4,))}, "empty": {}},
    opt_state=tx.init(params),
    key=jax.random.key(seed + 5, impl="rbg"),
    lr_scale=jnp.asarray(0.5, jnp.float32),
  )


@jax.jit
def update(state: TrainState) -> TrainState:
  noise = jax.random.uniform(jax.random.fold_in(state.key, state.step))
  grads = jax.tree.map(lambda p: p + noise.astype(p.dtype), state.params)
  updates, opt_state = TX.update(grads, state.opt_state, state.params)
  return replace(
    state,
    step=state.step + 1,
    params=optax.apply_updates(state.params, updates),
    opt_state=opt_state,
  )


def at(step: int, state=None) -> TrainState:
  state = make_state() if state is None else state
  return replace(state, step=jnp.asarray(step, jnp.int32))


def bits(state: TrainState) -> dict[str, bytes]:
  return {k: np.asarray(v).tobytes() for k, v in leaves.plain(state).items()}


def save_all(ckpt: Checkpointer, accuracies: dict, **kwargs) -> None:
  for step, accuracy in accuracies.items():
    ckpt.save(at(step), {"val/accuracy": accuracy}, **kwargs)


def flip_bit(path) -> None:
  data = bytearray(path.read_bytes())
  data[len(data) // 2] ^= 1
  path.write_bytes(data)


def largest_file(directory):
  files = [path for path in directory.rglob("*") if path.is_file()]
  return max(files, key=lambda path: path.stat().st_size)


def test_restores_every_leaf_bit_for_bit(tmp_path):
  state = update(update(make_state()))
  with Checkpointer(tmp_path) as ckpt:
    assert ckpt.save(state)
    got = ckpt.restore(2, make_state(seed=1))
  assert jax.tree.structure(got) == jax.tree.structure(state)
  assert leaves.describe(got) == leaves.describe(state)
  assert bits(got) == bits(state)
  assert jax.random.key_impl(got.key) == jax.random.key_impl(state.key)


def test_resumed_run_is_bitwise_the_uninterrupted_one(tmp_path):
  traces = []

  @jax.jit
  def step(state):
    traces.append(1)
    return update(state)

  straight = make_state()
  for _ in range(5):
    straight = step(straight)
  with Checkpointer(tmp_path) as ckpt:
    ckpt.save(step(step(make_state())))
  with Checkpointer(tmp_path) as ckpt:
    state = ckpt.restore_or(make_state())
    for _ in range(3):
      state = step(state)
  assert bits(state) == bits(straight)
  assert traces == [1]  # what is restored is no other type than what was saved


def test_empty_folder_gives_the_state_back(tmp_path):
  state = make_state()
  with Checkpointer(tmp_path / "new" / "run") as ckpt:
    assert ckpt.restore_or(state) is state
    assert (ckpt.latest_step, ckpt.best_step, ckpt.good_step) == (None,) * 3
    assert ckpt.all_steps() == []
    with pytest.raises(UserError, match=r"no checkpoint of step 3 .* none"):
      ckpt.restore(3, state)


def test_arrays_do_not_share_buffers_and_keep_their_sharding(tmp_path):
  mesh = jax.make_mesh((1,), ("data",), (jax.sharding.AxisType.Auto,))
  sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
  state = jax.device_put(make_state(), sharding)
  with Checkpointer(tmp_path) as ckpt:
    ckpt.save(state)
    got = ckpt.restore(0, state)
    other = ckpt.restore(0, jax.device_put(make_state(seed=1), sharding))
  assert {leaf.sharding for leaf in jax.tree.leaves(got)} == {sharding}
  arrays = list(leaves.plain(other).values())
  pointers = {array.unsafe_buffer_pointer() for array in arrays}
  assert len(pointers) == len(arrays)


def test_empty_arrays_and_no_frozen_weights(tmp_path):
  state = replace(
    make_state(),
    frozen={},
    model_state={"none": jnp.zeros((0, 3), jnp.bfloat16)},
  )
  with Checkpointer(tmp_path) as ckpt:
    ckpt.save(state)
    got = ckpt.restore(0, state)
  assert bits(got) == bits(state)
  assert leaves.describe(got) == leaves.describe(state)
  assert not (tmp_path / "frozen").exists()


def test_donating_the_saved_state_does_not_change_the_checkpoint(tmp_path):
  add = jax.jit(
    lambda tree: jax.tree.map(lambda x: x + 1, tree), donate_argnums=0
  )
  state = make_state()
  big = {str(i): jnp.zeros((500, 500)) for i in range(8)}
  with Checkpointer(tmp_path, keep_last=3) as ckpt:
    for step in range(3):
      big = add(big)
      ckpt.save(at(step, replace(state, params=big)))
      big = add(add(big))  # writes into what was just saved
    for step in range(3):
      got = ckpt.restore(step, replace(state, params=big))
      values = np.concatenate([np.ravel(x) for x in got.params.values()])
      assert np.unique(values).tolist() == [3 * step + 1]


@pytest.mark.parametrize(
  ("options", "kept"),
  some(
    [
      ({}, [30, 60]),
      ({"keep_last": 2, "keep_best": 2}, [30, 40, 50, 60]),
      ({"mode": "min"}, [10, 60]),
      ({"keep_best": 0}, [60]),
      ({"best": None}, [60]),
    ],
    ({"keep_last": 2, "keep_best": 2}, [30, 40, 50, 60]),
    ({"mode": "min"}, [10, 60]),
  ),
)
def test_latest_and_best_are_kept(tmp_path, options, kept):
  accuracies = {10: 0.1, 20: 0.5, 30: 0.9, 40: 0.9, 50: float("nan"), 60: 0.2}
  with Checkpointer(tmp_path, **options) as ckpt:
    save_all(ckpt, accuracies)
    assert ckpt.all_steps() == kept
  with Checkpointer(tmp_path, **options) as ckpt:
    assert ckpt.all_steps() == kept
    assert ckpt.latest_step == 60
  on_disk = [int(p.name) for p in tmp_path.iterdir() if p.name.isdigit()]
  assert sorted(on_disk) == kept


def test_the_newest_good_step_is_kept(tmp_path):
  with Checkpointer(tmp_path, best=None) as ckpt:
    ckpt.save(at(10), good=True)
    ckpt.save(at(20))
    ckpt.save(at(30))
    assert (ckpt.all_steps(), ckpt.good_step) == ([10, 30], 10)
    ckpt.mark_good(30)
    ckpt.save(at(40))
    assert (ckpt.all_steps(), ckpt.good_step) == ([30, 40], 30)
    with pytest.raises(UserError, match="no checkpoint of step 35"):
      ckpt.mark_good(35)
  with Checkpointer(tmp_path, best=None) as ckpt:
    assert ckpt.good_step == 30
    ckpt.save(at(50))
    assert ckpt.all_steps() == [30, 50]


def test_metrics_that_are_not_finite_are_never_best(tmp_path):
  nan, inf = float("nan"), float("inf")
  with Checkpointer(tmp_path, keep_last=9) as ckpt:
    save_all(ckpt, {1: nan, 2: inf, 3: -inf})
    assert ckpt.best_step is None
    with pytest.raises(UserError, match=r"no checkpoint .* finite 'val/acc"):
      ckpt.restore_best(make_state())
    save_all(ckpt, {4: jnp.float32(0.25), 5: nan})
    assert ckpt.best_step == 4
  with Checkpointer(tmp_path, keep_last=9) as ckpt:
    assert int(ckpt.restore_best(make_state()).step) == 4
    assert ckpt.metrics(4) == {"val/accuracy": 0.25}
    assert ckpt.metrics(2) == {"val/accuracy": inf}
    assert np.isnan(ckpt.metrics(5)["val/accuracy"])


def test_a_metric_that_is_not_there_is_named(tmp_path):
  with (
    Checkpointer(tmp_path) as ckpt,
    pytest.raises(UserError, match="Did you mean 'val/acc'"),
  ):
    ckpt.save(at(1), {"val/acc": 0.1, "loss": 2.0})


def test_extra_is_saved_with_the_step(tmp_path):
  extra = {"offset": 3, "incidents": [{"step": 2}], "patience": {"left": 1}}
  with Checkpointer(tmp_path, keep_last=2) as ckpt:
    ckpt.save(at(1), extra=extra)
    ckpt.save(at(2))
    extra["offset"] = 4
    with pytest.raises(UserError, match="extra must hold what JSON can"):
      ckpt.save(at(3), extra={"array": np.zeros(2)})
  with Checkpointer(tmp_path) as ckpt:
    assert ckpt.read_extra(1) == {**extra, "offset": 3}
    assert ckpt.read_extra(2) == {}


def test_a_step_is_saved_once(tmp_path):
  state = at(20)
  with Checkpointer(tmp_path) as ckpt:
    assert ckpt.save(state, {"val/accuracy": 0.5})
    assert not ckpt.save(state)
    assert not ckpt.save(state, {"val/accuracy": 0.5}, good=True)
    assert ckpt.good_step == 20
    for late in (
      lambda: ckpt.save(at(10)),
      lambda: ckpt.save(state, {"val/accuracy": 0.6}),
      lambda: ckpt.save(replace(state, attempt=jnp.int32(1))),
    ):
      with pytest.raises(UserError, match=r"cannot save step .* rollback_to"):
        late()


def test_an_array_of_one_process_is_refused(tmp_path, monkeypatch):
  with Checkpointer(tmp_path) as ckpt, monkeypatch.context() as patch:
    patch.setattr(jax, "process_count", lambda: 2)
    with pytest.raises(UserError, match="step is an array of one process"):
      ckpt.save(at(1))


def test_frozen_weights_are_written_once(tmp_path):
  state = make_state()
  with Checkpointer(tmp_path, keep_last=3) as ckpt:
    ckpt.save(at(1, state))
    (store,) = (tmp_path / "frozen").iterdir()
    written = sorted((p, p.stat().st_mtime_ns) for p in store.rglob("*"))
    # A donated step hands equal frozen arrays on as new objects.
    ckpt.save(at(2, jax.tree.map(jnp.copy, state)))
    assert [store] == list((tmp_path / "frozen").iterdir())
    assert written == sorted(
      (p, p.stat().st_mtime_ns) for p in store.rglob("*")
    )
    other = make_state(seed=1)
    ckpt.save(at(3, replace(state, frozen=other.frozen)))
    assert len(list((tmp_path / "frozen").iterdir())) == 2
    metadata = (tmp_path / "2" / "state" / "_METADATA").read_text()
    assert "stem" not in metadata
    assert "head" in metadata
    assert bits(ckpt.restore(2, other)) == bits(at(2, state))
    assert bits(ckpt.restore(3, state)) == bits(
      at(3, replace(state, frozen=other.frozen))
    )
  with Checkpointer(tmp_path, keep_last=1) as ckpt:
    ckpt.save(at(4, state))
  assert [store] == list((tmp_path / "frozen").iterdir())  # the rest is unused


def test_damaged_frozen_weights_are_found(tmp_path):
  state = make_state()
  with Checkpointer(tmp_path) as ckpt:
    ckpt.save(state)
    ckpt.wait()
    (store,) = (tmp_path / "frozen").iterdir()
    flip_bit(largest_file(store / "ocdbt.process_0"))
    with pytest.raises(UserError, match=r"frozen weights in .*run\.json"):
      ckpt.restore_or(make_state(seed=1))
    # With the pretrained weights at hand the folder is not needed.
    assert bits(ckpt.restore_or(make_state())) == bits(state)
  assert (tmp_path / "0").exists()


def test_rollback_deletes_the_later_steps_and_raises_the_attempt(
  tmp_path, monkeypatch
):
  state = make_state()
  calls = []
  with Checkpointer(tmp_path, keep_last=9) as ckpt:
    for step in (10, 20, 30, 40):
      ckpt.save(at(step, state), good=True)
    store = ckpt._store
    for name in ("delete", "read"):
      method = getattr(store, name)
      monkeypatch.setattr(
        store,
        name,
        lambda step, *args, n=name, m=method: (
          calls.append((n, step)),
          m(step, *args),
        )[1],
      )
    back = ckpt.rollback_to(20, at(45, state))
    assert calls == [("delete", 40), ("delete", 30), ("read", 20)]
    assert (int(back.step), int(back.attempt)) == (20, 1)
    assert bits(replace(back, attempt=state.attempt)) == bits(at(20, state))
    assert (ckpt.all_steps(), ckpt.good_step) == ([10, 20], 20)
    # Twice to one step, even with a state that forgot the first time.
    assert int(ckpt.rollback_to(20, at(25, state)).attempt) == 2
    ckpt.save(at(30, back))
    assert ckpt.all_steps() == [10, 20, 30]
  with Checkpointer(tmp_path, keep_last=9) as ckpt:
    assert int(ckpt.rollback_to(10, state).attempt) == 3
    assert ckpt.all_steps() == [10]


def test_rollback_to_a_damaged_step_deletes_nothing(tmp_path):
  with Checkpointer(tmp_path, keep_last=9, async_=False) as ckpt:
    save_all(ckpt, {10: 0.1, 20: 0.2})
    flip_bit(largest_file(tmp_path / "10"))
    with pytest.raises(DamagedCheckpointError):
      ckpt.rollback_to(10, make_state())
    assert ckpt.all_steps() == [10, 20]


@pytest.mark.parametrize(
  "damage",
  [
    flip_bit,
    lambda path: path.write_bytes(path.read_bytes()[:-1]),
    lambda path: path.unlink(),
  ],
)
def test_restore_or_falls_back_past_a_damaged_step(tmp_path, caplog, damage):
  with Checkpointer(tmp_path, keep_last=9, best=None) as ckpt:
    ckpt.save(at(10))
    ckpt.save(at(20))
  damage(largest_file(tmp_path / "20" / "state" / "ocdbt.process_0"))
  with Checkpointer(tmp_path, keep_last=9, best=None) as ckpt:
    with pytest.raises(
      DamagedCheckpointError,
      match=rf"checkpoint 20 is damaged: .*{tmp_path}/20, .*\[10, 20\]",
    ):
      ckpt.restore(20, make_state())
    with caplog.at_level(logging.WARNING):
      state = ckpt.restore_or(make_state())
    assert int(state.step) == 10
    assert f"moved to {tmp_path}/damaged-20, going on from 10" in caplog.text
    assert ckpt.all_steps() == [10]
    assert (tmp_path / "damaged-20").exists()
    assert ckpt.save(at(15, state))


@pytest.mark.parametrize("name", ["record/metadata", manifest.FILE])
def test_damage_outside_the_arrays_is_found(tmp_path, name):
  with Checkpointer(tmp_path) as ckpt:
    ckpt.save(at(10))
  (tmp_path / "10" / name).write_text("{")
  with (
    Checkpointer(tmp_path) as ckpt,
    pytest.raises(UserError, match="is intact:\ncheckpoint 10 is damaged: "),
  ):
    ckpt.restore_or(make_state())  # never silently from the beginning
  assert (tmp_path / "10").exists()


def test_every_flipped_bit_is_found(tmp_path):
  with Checkpointer(tmp_path) as ckpt:
    ckpt.save(at(10))
  step = tmp_path / "10"
  names = json.loads((step / manifest.FILE).read_text())
  assert manifest.problems(step) == []
  for name in names:
    before = (step / name).read_bytes()
    if before:
      flip_bit(step / name)
      assert manifest.problems(step) == [
        f"{name} has other contents than were written"
      ]
      (step / name).write_bytes(before)


def test_a_state_that_does_not_fit_is_told_by_leaf(tmp_path):
  with Checkpointer(tmp_path) as ckpt:
    ckpt.save(at(10))
    with pytest.raises(UserError) as error:
      ckpt.restore_or(make_state(classes=5))
    adam = "opt_state/inner_states/adam/inner_state/0"
    assert str(error.value) == (
      f"checkpoint 10 in {tmp_path} does not fit this state, 3 leaves differ:\n"
      "  params/head/kernel: saved float32[8,3], expected float32[8,5]\n"
      f"  {adam}/mu/head/kernel: saved float32[8,3], expected float32[8,5]\n"
      f"  {adam}/nu/head/kernel: saved float32[8,3], expected float32[8,5]\n"
      "Build the state with the model, the labels and the optimizer of that run"
      " (see its run.json), or use another folder."
    )
    with pytest.raises(UserError, match=r"expected nothing"):
      ckpt.restore(10, make_state(tx=optax.sgd(0.1)))
    assert ckpt.all_steps() == [10]


def full_disk(directory):
  raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_is_one_sentence_and_hurts_no_older_step(
  tmp_path, monkeypatch
):
  with Checkpointer(tmp_path) as ckpt:
    ckpt.save(at(10))
    ckpt.wait()
    with monkeypatch.context() as patch:
      patch.setattr(manifest, "write", full_disk)
      ckpt.save(at(20))
      with pytest.raises(
        UserError,
        match=rf"could not write checkpoint 20: no space left for {tmp_path}"
        r" \(\d+ MB free\)",
      ):
        ckpt.wait()
      assert ckpt.all_steps() == [10]
      assert int(ckpt.restore_or(make_state()).step) == 10
      ckpt.save(at(30))
      with pytest.raises(UserError, match="write checkpoint 30"):
        ckpt.save(at(40))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["10", "frozen"]
    assert ckpt.save(at(40))
  assert sorted(p.name for p in tmp_path.iterdir()) == ["40", "frozen"]


def test_a_failed_write_leaves_nothing_to_the_next(tmp_path, monkeypatch):
  # Orbax's metadata is written on a thread of its own: here, so late that the
  # failed write is over by then.
  write_text = epath.Path.write_text

  def late(path, *args, **kwargs):
    if path.name == "_CHECKPOINT_METADATA":
      time.sleep(0.5)
    return write_text(path, *args, **kwargs)

  monkeypatch.setattr(epath.Path, "write_text", late)
  with Checkpointer(tmp_path) as ckpt:
    with monkeypatch.context() as patch:
      patch.setattr(manifest, "write", full_disk)
      ckpt.save(at(10))
      with pytest.raises(UserError, match="no space left"):
        ckpt.wait()
    assert ckpt.save(at(20))
  assert sorted(p.name for p in tmp_path.iterdir()) == ["20", "frozen"]


def test_a_tensorstore_error_counts_as_the_disk(tmp_path, monkeypatch):
  # What a full disk raises in Orbax 0.12.8, seen on a tmpfs of one megabyte.
  message = (
    "RESOURCE_EXHAUSTED: Error writing: Failed to write 2668901 bytes to file"
    " 4: No space left on device [os_error_code='28']"
  )

  def full(directory):
    raise ValueError(message)

  monkeypatch.setattr(manifest, "write", full)
  with (
    pytest.raises(UserError, match="no space left"),
    Checkpointer(tmp_path) as ckpt,
  ):
    ckpt.save(at(10))


def interrupted_run(directory):
  with Checkpointer(directory) as ckpt:
    ckpt.save(at(10))
    raise KeyboardInterrupt


def test_a_failed_save_does_not_hide_what_stopped_the_run(
  tmp_path, monkeypatch, caplog
):
  monkeypatch.setattr(manifest, "write", full_disk)
  with pytest.raises(KeyboardInterrupt):
    interrupted_run(tmp_path)
  assert "no space left" in caplog.text


def test_an_interrupted_run_keeps_what_it_saved(tmp_path):
  with pytest.raises(KeyboardInterrupt):
    interrupted_run(tmp_path)
  (tmp_path / "20.orbax-checkpoint-tmp").mkdir()  # what a kill leaves behind
  with Checkpointer(tmp_path) as ckpt:
    assert int(ckpt.restore_or(make_state()).step) == 10
  assert not (tmp_path / "20.orbax-checkpoint-tmp").exists()


@pytest.mark.parametrize(
  ("options", "message"),
  [
    ({"mode": "best"}, 'mode must be "max" or "min", got \'best\''),
    ({"keep_last": 0}, "keep_last must be at least 1, got 0"),
    ({"keep_best": -1}, "keep_best must be at least 0, got -1"),
  ],
)
def test_options_out_of_range(tmp_path, options, message):
  with pytest.raises(UserError, match=re.escape(message)):
    Checkpointer(tmp_path, **options)


def test_a_file_in_place_of_the_folder(tmp_path):
  path = tmp_path / "file"
  path.write_text("")
  with pytest.raises(UserError, match="a file is in its place"):
    Checkpointer(path)


def test_nothing_is_printed(tmp_path, capfd):
  with Checkpointer(tmp_path) as ckpt:
    save_all(ckpt, {1: 0.1, 2: 0.2})
    ckpt.restore_or(make_state())
    ckpt.rollback_to(2, make_state())
  assert capfd.readouterr() == ("", "")
  assert not [f for f in logging.getLogger("absl").filters if "orbax" in str(f)]


# --- killed after a roll-back ------------------------------------------------


def test_a_kill_right_after_a_rollback_keeps_attempt_and_extra(tmp_path):
  with Checkpointer(tmp_path, keep_last=3) as ckpt:
    for step in (10, 20):
      ckpt.save(at(step), extra={"offset": 0}, good=True)
    ckpt.rollback_to(10, make_state(), {"offset": 7})
  # The process dies here: nothing was saved after the roll-back.
  with Checkpointer(tmp_path) as ckpt:
    state = ckpt.restore_or(make_state())
    assert (int(state.step), int(state.attempt)) == (10, 1)
    assert ckpt.read_extra(10) == {"offset": 7}


def test_a_kill_inside_a_rollback_does_not_bring_the_later_steps_back(
  tmp_path, monkeypatch
):
  with Checkpointer(tmp_path, keep_last=3) as ckpt:
    for step in (10, 20):
      ckpt.save(at(step), good=True)
    ckpt.wait()
    with monkeypatch.context() as patch:
      patch.setattr(catalog.Catalog, "delete_after", stop)
      with pytest.raises(KeyboardInterrupt):
        ckpt.rollback_to(10, make_state())
  with Checkpointer(tmp_path) as ckpt:
    state = ckpt.restore_or(make_state())
    assert (int(state.step), int(state.attempt)) == (10, 1)
    assert ckpt.all_steps() == [10]


def stop(*_):
  raise KeyboardInterrupt


@pytest.mark.parametrize(
  "content",
  [
    "",
    "[]",
    '{"good": 3}',
    "[" * 99999,
    '{"good": [Infinity], "attempt": 0}',
    '{"good": [1], "attempt": 1e999}',
  ],
)
def test_damaged_marks_are_told_and_hurt_no_checkpoint(
  tmp_path, caplog, content
):
  with Checkpointer(tmp_path) as ckpt:
    ckpt.save(at(10), good=True)
  (tmp_path / "marks.json").write_text(content)
  with Checkpointer(tmp_path) as ckpt:
    assert int(ckpt.restore_or(make_state()).step) == 10
  assert "marks.json is damaged; going on without it" in caplog.text


# --- only looking ------------------------------------------------------------


def test_a_reader_changes_nothing(tmp_path):
  with Checkpointer(tmp_path) as ckpt:
    ckpt.save(at(10), {"val/accuracy": 0.5}, good=True)
  (tmp_path / "20.orbax-checkpoint-tmp").mkdir()  # another process is saving
  before = sorted(p.relative_to(tmp_path) for p in tmp_path.rglob("*"))
  with Checkpointer(tmp_path, read_only=True) as ckpt:
    assert int(ckpt.restore_best(make_state()).step) == 10
  assert before == sorted(p.relative_to(tmp_path) for p in tmp_path.rglob("*"))


def test_a_damaged_best_gives_way_to_the_next(tmp_path, caplog):
  with Checkpointer(tmp_path, keep_last=3) as ckpt:
    for step, accuracy in ((10, 0.5), (20, 0.7), (30, 0.6)):
      ckpt.save(at(step), {"val/accuracy": accuracy})
  flip_bit(largest_file(tmp_path / "20"))
  for read_only in (True, False):
    with Checkpointer(tmp_path, read_only=read_only) as ckpt:
      assert int(ckpt.restore_best(make_state()).step) == 30
      assert list(ckpt.lost) == [20]
      assert ckpt.best_step == (20 if read_only else 30)
  assert "checkpoint 20 is damaged" in caplog.text


def test_a_best_whose_record_is_gone_is_told(tmp_path, caplog):
  with Checkpointer(tmp_path, keep_last=3) as ckpt:
    for step, accuracy in ((10, 0.5), (20, 0.7), (30, 0.6)):
      ckpt.save(at(step), {"val/accuracy": accuracy})
  (tmp_path / "20" / "record" / "metadata").unlink()
  with Checkpointer(tmp_path) as ckpt:
    assert int(ckpt.restore_best(make_state()).step) == 30
    assert "its record cannot be read" in ckpt.lost[20]
  assert "checkpoint 20 is damaged" in caplog.text


# --- a power cut -------------------------------------------------------------


def test_every_file_is_on_the_disk_before_the_checkpoint_appears(
  tmp_path, monkeypatch
):
  """What was not synced when the rename came is what a power cut loses."""
  synced, unsynced = set(), []
  fsync, sync_all = os.fsync, atomic.sync_all
  monkeypatch.setattr(
    os, "fsync", lambda fd: (synced.add(os.fstat(fd).st_ino), fsync(fd))[1]
  )

  def check(folder):
    sync_all(folder)
    for path in pathlib.Path(folder).rglob("*"):
      if path.stat().st_ino not in synced:
        unsynced.append(path)

  monkeypatch.setattr(atomic, "sync_all", check)
  with Checkpointer(tmp_path) as ckpt:
    ckpt.save(at(10), good=True)
  assert len(synced) > 5
  assert unsynced == []
