import logging
import os

import numpy as np
import pytest
from PIL import Image

from jft.data import image_folder
from jft.errors import UserError


def _write(path, value=0):
  path.parent.mkdir(parents=True, exist_ok=True)
  noise = np.random.default_rng(value).integers(0, 256, (16, 24, 3), np.uint8)
  Image.fromarray(noise).save(path, quality=90)


@pytest.fixture
def root(tmp_path):
  for i, name in enumerate(["dog/b.jpg", "dog/a.JPG", "cat/x/c.png"]):
    _write(tmp_path / name, i)
  (tmp_path / "dog" / "notes.txt").write_text("not an image")
  (tmp_path / ".hidden").mkdir()
  return tmp_path


def test_class_folders_become_sorted_labels(root):
  source = image_folder(root)
  assert source.label_names == ("cat", "dog")
  assert source.files == ("cat/x/c.png", "dog/a.JPG", "dog/b.jpg")
  assert source.labels.tolist() == [0, 1, 1]
  assert source[0]["image"].shape == (16, 24, 3)
  assert source[2]["label"] == 1
  assert source.content(0) == (root / "cat/x/c.png").read_bytes()


def test_given_names_fix_the_order_and_may_be_more_than_the_folders(root):
  source = image_folder(root, label_names=["dog", "emu", "cat"])
  assert source.labels.tolist() == [0, 0, 2]


def test_a_truncated_image_is_an_error_when_it_is_read(root):
  _truncate(root / "dog/a.JPG")
  source = image_folder(root)
  assert source[0]["image"].shape == (16, 24, 3)
  with pytest.raises(UserError, match=r"dog/a\.JPG: cannot decode this image"):
    source[1]


def test_skip_leaves_a_truncated_image_out_and_says_so(root, caplog):
  _truncate(root / "dog/a.JPG")
  with caplog.at_level(logging.WARNING):
    source = image_folder(root, on_error="skip")
  assert source.files == ("cat/x/c.png", "dog/b.jpg")
  assert source.labels.tolist() == [0, 1]
  assert len(source.skipped) == 1
  assert "skipped 1 of 3 images" in caplog.text
  assert "dog/a.JPG" in caplog.text


def _truncate(path):
  data = path.read_bytes()
  path.write_bytes(data[: len(data) * 2 // 3])


def test_no_readable_image_is_an_error(tmp_path):
  _write(tmp_path / "cat/a.jpg")
  _truncate(tmp_path / "cat/a.jpg")
  with pytest.raises(UserError, match="none of its images"):
    image_folder(tmp_path, on_error="skip")


def test_an_empty_class_is_an_error(root):
  (root / "emu").mkdir()
  with pytest.raises(UserError, match="emu holds no images"):
    image_folder(root)


def test_only_files_are_images(root):
  kept = image_folder(root).files
  (root / "cat" / "folder.png").mkdir()
  os.mkfifo(root / "cat" / "pipe.png")  # reading it would wait for ever
  assert image_folder(root).files == kept


def test_a_broken_link_is_named(root):
  (root / "cat" / "zz.png").symlink_to("gone.png")
  source = image_folder(root)
  i = source.files.index("cat/zz.png")
  for read in (source.content, source.__getitem__):
    with pytest.raises(UserError, match=r"cat/zz\.png"):
      read(i)
  assert image_folder(root, on_error="skip").skipped[0].count("zz.png")


def test_a_class_whose_name_is_no_utf8_is_an_error(root):
  os.mkdir(os.fsencode(root) + b"/b\xff")
  with pytest.raises(
    UserError, match=r"'b\\udcff': the name of a class must be"
  ):
    image_folder(root)


def test_an_unknown_class_is_an_error(root):
  with pytest.raises(UserError, match=r"/dog is none of the 2 classes"):
    image_folder(root, label_names=["cat", "dogs"])


def test_a_folder_without_classes_is_an_error(tmp_path):
  with pytest.raises(UserError, match="no class folders"):
    image_folder(tmp_path)
  with pytest.raises(UserError, match="is not a folder"):
    image_folder(tmp_path / "gone")


def test_on_error_is_one_of_two(root):
  with pytest.raises(UserError, match="got 'ignore'"):
    image_folder(root, on_error="ignore")


def test_the_ants_and_bees(jft_data):
  source = image_folder(jft_data / "hymenoptera" / "val", on_error="skip")
  assert source.label_names == ("ants", "bees")
  assert np.bincount(source.labels).tolist() == [70, 83]
  assert source.skipped == ()
  assert min(source[0]["image"].shape[:2]) == 256
