"""Orbax: what Orbax saved comes back, an array at a time."""

import shutil

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest

from jft.errors import UserError
from jft.pretrained import formats

TREE = {
  "params": {
    "block": {
      "kernel": jnp.arange(12.0).reshape(3, 4),
      "bias": jnp.array([0.5, 1.25], jnp.bfloat16),
    }
  },
  "step": jnp.int32(3),
}
FLAT = {
  "params/block/kernel": ("float32", np.arange(12).reshape(3, 4).tolist()),
  "params/block/bias": ("bfloat16", [0.5, 1.25]),
  "step": ("int32", 3),
}


def flat(read):
  return {
    name: (str(read.specs[name].dtype), value.tolist())
    for name, value in read.items()
  }


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
  folder = tmp_path_factory.mktemp("orbax") / "net"
  with ocp.StandardCheckpointer() as saver:
    saver.save(folder, TREE)
  return folder


def test_a_standard_checkpoint(saved):
  read = formats.read(saved)
  assert flat(read) == FLAT
  assert isinstance(read["step"], np.ndarray)


def test_a_step_of_a_manager(tmp_path):
  with ocp.CheckpointManager(tmp_path) as manager:
    manager.save(4, args=ocp.args.StandardSave(TREE))
  assert flat(formats.read(tmp_path / "4")) == FLAT


def test_sharded_arrays_come_back_whole(tmp_path):
  mesh = jax.make_mesh((8,), ("x",))
  spec = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("x"))
  array = jax.device_put(jnp.arange(16.0), spec)
  with ocp.StandardCheckpointer() as saver:
    saver.save(tmp_path / "x", {"a": array})
  assert formats.read(tmp_path / "x")["a"].tolist() == list(range(16))


def test_damage_is_an_error(saved, tmp_path):
  folder = shutil.copytree(saved, tmp_path / "x")
  (folder / "_METADATA").write_text("{")
  with pytest.raises(UserError, match="no Orbax checkpoint that can be read"):
    formats.read(folder)
  shutil.rmtree(folder)
  folder = shutil.copytree(saved, folder)
  read = formats.read(folder)
  for file in folder.rglob("d/*"):
    file.unlink()
  with pytest.raises(UserError, match="Orbax"):
    read["step"]
  shutil.rmtree(folder)
  (folder / "empty").mkdir(parents=True)
  with pytest.raises(UserError, match="is a folder, and no Orbax checkpoint"):
    formats.read(folder)


def test_what_the_folder_can_hardly_hold_is_refused(tmp_path):
  # 80 MB of zeros, which the disk keeps in some kilobytes.
  with ocp.StandardCheckpointer() as saver:
    saver.save(tmp_path / "x", {"a": jnp.zeros(20_000_000)})
  with pytest.raises(UserError, match="'a' claims 80000000 bytes"):
    formats.read(tmp_path / "x")
