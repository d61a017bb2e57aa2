"""Keras files: what Keras wrote, against what Keras holds; hostile HDF5."""

import pathlib
import zipfile

import numpy as np
import pytest

from jft.errors import UserError
from jft.pretrained import formats
from jft.pretrained.formats import keras_names

h5py = pytest.importorskip("h5py", reason="pip install 'jft[keras]'")

GOLDEN = pathlib.Path(__file__).parent / "golden" / "formats"


def expected():
  with np.load(GOLDEN / "expected.npz") as arrays:
    return {
      name.removeprefix("keras/"): arrays[name]
      for name in arrays
      if name.startswith("keras/")
    }


@pytest.mark.parametrize("file", ["tiny.h5", "tiny.keras"])
def test_names_and_values_are_keras_own(file):
  read, wanted = formats.read(GOLDEN / file), expected()
  assert set(read) == set(wanted)
  assert "inner/inner_dense/kernel" in read
  for name, value in wanted.items():
    assert read.specs[name].shape == value.shape
    np.testing.assert_array_equal(read[name], value, err_msg=name)


def test_weights_alone_do_not_say_which_of_gamma_and_beta_there_is():
  read, wanted = formats.read(GOLDEN / "tiny.weights.h5"), expected()
  numbered = {
    "second_bn/beta": "second_bn/vars/0",
    "second_bn/moving_mean": "second_bn/vars/1",
    "second_bn/moving_variance": "second_bn/vars/2",
  }
  assert set(read) == {numbered.get(name, name) for name in wanted}
  for name, value in wanted.items():
    np.testing.assert_array_equal(read[numbered.get(name, name)], value)


def test_names_of_keras_1_and_2():
  read = formats.read(GOLDEN / "keras2.h5")
  assert {name: spec.shape for name, spec in read.specs.items()} == {
    "conv1_conv/kernel": (2, 2),
    "conv1_conv/bias": (2,),
    "block1_conv1/kernel": (2, 2),
    "block1_conv1/bias": (2,),
  }


@pytest.mark.parametrize(
  ("layer", "weight", "name"),
  [
    ("conv", "conv/kernel:0", "conv/kernel"),
    ("conv", "conv_12/kernel:0", "conv/kernel"),
    ("conv", "conv/conv/kernel:0", "conv/kernel"),
    ("conv", "kernel", "conv/kernel"),
    ("bn", "bn_running_std_1:0", "bn/moving_variance"),
    ("resnet50", "conv1_bn/gamma:0", "conv1_bn/gamma"),
    ("bert", "tf_model/bert/pooler/kernel:0", "tf_model/bert/pooler/kernel"),
  ],
)
def test_names_made_uniform(layer, weight, name):
  assert keras_names.of_weight(layer, weight) == name


def test_every_truncation_of_the_zip_is_an_error(tmp_path):
  whole = (GOLDEN / "tiny.keras").read_bytes()
  path = tmp_path / "cut.keras"
  for size in range(1, len(whole), 3001):
    path.write_bytes(whole[:size])
    with pytest.raises(UserError, match=r"cut\.keras"):
      formats.read(path)


def listing(path, **layers):
  """Writes a file that lists its layers; a layer's entries are as given."""
  with h5py.File(path, "w") as file:
    file.attrs["layer_names"] = [name.encode() for name in layers]
    for name, entries in layers.items():
      group = file.create_group(name)
      group.attrs["weight_names"] = [key.encode() for key in entries]
      for key, value in entries.items():
        if value is not None:
          group[key] = value


def test_links_out_of_the_file_are_refused(tmp_path):
  path, secret = tmp_path / "x.h5", tmp_path / "secret.h5"
  with h5py.File(secret, "w") as file:
    file["w"] = np.ones(3)
  for link in (h5py.ExternalLink(secret, "w"), h5py.SoftLink("/a/b")):
    listing(path, a={"kernel": link, "b": np.ones(3)})
    with pytest.raises(UserError, match="is a link"):
      formats.read(path)
  with h5py.File(path, "w") as file:
    file["model_weights"] = h5py.ExternalLink(secret, "/")
  with pytest.raises(UserError, match="is a link"):
    formats.read(path)
  with h5py.File(path, "w") as file:
    file["layers/dense/vars"] = h5py.ExternalLink(secret, "/")
  with pytest.raises(UserError, match="is a link"):
    formats.read(path)


def test_values_kept_elsewhere_are_refused(tmp_path):
  path = tmp_path / "x.h5"
  (tmp_path / "secret").write_bytes(bytes(24))
  outside = {"external": [(str(tmp_path / "secret"), 0, 24)]}
  layout = h5py.VirtualLayout((3,), "f8")
  layout[:] = h5py.VirtualSource(str(path), "y", (3,))
  for make in (
    lambda group: group.create_dataset("k", (3,), "f8", **outside),
    lambda group: group.create_virtual_dataset("k", layout),
  ):
    listing(path, a={"k": None})
    with h5py.File(path, "a") as file:
      make(file["a"])
    with pytest.raises(UserError, match=r"'a/k' is kept in another file"):
      formats.read(path)


def test_sizes_that_the_file_does_not_hold_are_refused(tmp_path):
  path = tmp_path / "x.h5"
  for options in ({}, {"chunks": (2**10,), "compression": "gzip"}):
    listing(path, a={"k": None})
    with h5py.File(path, "a") as file:
      file["a"].create_dataset("k", (2**40,), "f4", **options)
    with pytest.raises(UserError, match="claims 4398046511104 bytes, 0 are"):
      formats.read(path)


@pytest.mark.parametrize(
  "value", ["text", np.array(["a"], "S4"), np.zeros(2, [("a", "f4")])]
)
def test_what_is_no_array_of_numbers_is_refused(value, tmp_path):
  listing(tmp_path / "x.h5", a={"k": value})
  with pytest.raises(UserError, match="dtype"):
    formats.read(tmp_path / "x.h5")


def test_what_is_there_counts_and_not_what_is_listed(tmp_path):
  listing(tmp_path / "x.h5", a={"k": np.ones(1), "../../etc/passwd": None})
  assert list(formats.read(tmp_path / "x.h5")) == ["a/k"]
  listing(tmp_path / "x.h5", a={"a/k:0": np.ones(1), "a_1/k:0": np.ones(1)})
  with pytest.raises(UserError, match="two weights are called 'a/k'"):
    formats.read(tmp_path / "x.h5")


def test_groups_that_hold_one_another(tmp_path):
  with h5py.File(tmp_path / "x.h5", "w") as file:
    file.attrs["layer_names"] = [b"a"]
    group = file.create_group("a")
    group["again"] = group["and_again"] = group  # hard links
  with pytest.raises(UserError, match="is there under two names"):
    formats.read(tmp_path / "x.h5")
  with h5py.File(tmp_path / "x.h5", "w") as file:
    group = file.create_group("layers")
    group["a"] = group["b"] = group
  with pytest.raises(UserError, match="is there under two names"):
    formats.read(tmp_path / "x.h5")


def test_other_hdf5_files_and_big_endian_and_compressed_values(tmp_path):
  with h5py.File(tmp_path / "x.h5", "w") as file:
    file["table"] = np.ones(3)
  with pytest.raises(UserError, match="no weights are in it"):
    formats.read(tmp_path / "x.h5")
  listing(tmp_path / "y.h5", a={"k": np.array([1, 2], ">f4"), "z": None})
  with h5py.File(tmp_path / "y.h5", "a") as file:
    file["a"].create_dataset("z", data=np.eye(50), compression="gzip")
  read = formats.read(tmp_path / "y.h5")
  assert read.specs["a/k"].dtype == read["a/k"].dtype == np.float32
  assert read["a/k"].tolist() == [1, 2]
  np.testing.assert_array_equal(read["a/z"], np.eye(50))


def test_a_zip_without_config_or_with_a_malformed_one(tmp_path):
  weights = (GOLDEN / "tiny.weights.h5").read_bytes()
  for config in (None, b"{", b"[" * 100_000):
    path = tmp_path / "x.keras"
    with zipfile.ZipFile(path, "w") as archive:
      archive.writestr("model.weights.h5", weights)
      if config:
        archive.writestr("config.json", config)
    with pytest.raises(UserError, match=r"x\.keras"):
      formats.read(path)
