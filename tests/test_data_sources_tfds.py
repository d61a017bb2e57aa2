"""A real ArrayRecord data set, written here without TensorFlow."""

import io
import shutil
import sys

import numpy as np
import pytest
from PIL import Image

from jft.data import digests, tfds
from jft.errors import UserError

PIXELS = np.random.default_rng(0).integers(0, 256, (8, 5, 7, 3), np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  """Eight images with labels and captions, as `tfds build` would leave them."""
  record = pytest.importorskip("array_record.python.array_record_module")
  library = pytest.importorskip("tensorflow_datasets")
  root = tmp_path_factory.mktemp("tfds")
  data = root / "tiny" / "1.0.0"
  data.mkdir(parents=True)
  features = library.features.FeaturesDict(
    {
      "image": library.features.Image(shape=(None, None, 3)),
      "label": library.features.ClassLabel(names=["cat", "dog"]),
      "caption": library.features.Text(),
    }
  )
  serializer = library.core.example_serializer.ExampleSerializer(
    features.get_serialized_info()
  )
  file = data / "tiny-train.array_record-00000-of-00001"
  writer = record.ArrayRecordWriter(str(file), "group_size:1")
  for i, pixels in enumerate(PIXELS):
    image = io.BytesIO()
    Image.fromarray(pixels).save(image, "PNG")
    image.seek(0)
    example = {"image": image, "label": i % 2, "caption": f"n° {i}"}
    writer.write(serializer.serialize_example(features.encode_example(example)))
  writer.close()
  template = "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"
  library.folder_dataset.write_metadata(
    data_dir=data,
    features=features,
    filename_template=template,
    check_data=False,  # It reads with TensorFlow.
    split_infos=[
      library.core.SplitInfo(
        name="train",
        shard_lengths=[8],
        num_bytes=0,
        filename_template=library.core.ShardedFileTemplate(
          dataset_name="tiny",
          data_dir=data,
          split="train",
          filetype_suffix="array_record",
          template=template,
        ),
      )
    ],
  )
  return root


def test_examples_are_read_without_tensorflow(folder):
  source = tfds("tiny", "train", data_dir=folder)
  assert (len(source), source.name) == (8, "tiny:train")
  assert source.label_names == ("cat", "dog")
  example = source[3]
  np.testing.assert_array_equal(example["image"], PIXELS[3])
  assert (example["label"], example["caption"]) == (1, "n° 3")
  assert source.labels.tolist() == [0, 1] * 4
  # One decoder everywhere: tfds would take OpenCV where it is installed.
  assert isinstance(source.records[3]["image"], bytes)
  assert "tensorflow" not in sys.modules


def test_a_part_of_a_split_and_other_names(folder):
  source = tfds(
    "tiny",
    "train[50%:]",
    data_dir=folder,
    columns={"text": "caption", "label": "label"},
  )
  assert len(source) == 4
  assert source[0] == {"text": "n° 4", "label": 0}
  assert source.label_names == ("cat", "dog")


def test_inputs_are_hashed_as_they_are_stored(folder, monkeypatch):
  source = tfds("tiny", "train", data_dir=folder)
  monkeypatch.setattr(
    "jft.data.sources.tfds.decode", lambda *a, **k: pytest.fail("decoded")
  )
  found = digests(source)
  assert len({row.tobytes() for row in found.rows}) == 8
  assert found.labels.tolist() == [0, 1] * 4
  stored = source.records[3]["image"]
  assert source.content(3) == b"caption|5:n\xc2\xb0 3" + (
    b"image|%d:" % len(stored) + stored
  )


def test_the_hash_of_inputs_leaves_the_label_out(folder):
  plain, labelled = (
    tfds("tiny", "train", data_dir=folder, columns=dict(zip(c, c, strict=True)))
    for c in (["image"], ["image", "label"])
  )
  assert (digests(plain).rows == digests(labelled).rows).all()
  assert digests(plain).labels is None


@pytest.mark.parametrize(
  ("name", "split", "message"),
  [
    ("tiny", "test", "Unknown split 'test'"),
    ("tiny", "train[:0%]", "cannot open 'tiny', split 'train\\[:0%\\]'"),
    ("tinny", "train", "tfds build tinny --file_format=array_record --data"),
    ("mnist", "train", "cannot open 'mnist'.*tfds build mnist"),
  ],
)
def test_what_is_not_there_is_named_with_the_remedy(
  folder, name, split, message
):
  with pytest.raises(UserError, match=message):
    tfds(name, split, data_dir=folder)


def test_an_unknown_feature_is_an_error(folder):
  with pytest.raises(UserError, match="no feature 'sentence', it has"):
    tfds("tiny", "train", data_dir=folder, columns={"text": "sentence"})


@pytest.mark.parametrize(
  ("damage", "reason"),
  [
    (lambda path: path.unlink(), "No such file"),
    (lambda path: path.write_bytes(b""), "64KB"),
    (lambda path: flip(path), "hash mismatch"),
  ],
)
def test_a_shard_that_cannot_be_read_is_told(folder, tmp_path, damage, reason):
  root = shutil.copytree(folder, tmp_path / "damaged")
  (shard,) = root.rglob("*.array_record-*")
  damage(shard)
  source = tfds("tiny", "train", data_dir=root)
  with pytest.raises(UserError, match=rf"example 0 of tiny:train .*{reason}"):
    source[0]


def flip(path):
  data = bytearray(path.read_bytes())
  for i in range(3000, len(data), 97):
    data[i] ^= 0x55
  path.write_bytes(data)
