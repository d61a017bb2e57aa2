import io
import pathlib

import numpy as np
import pytest
from PIL import Image

from jft.data.decode import decode, verify
from jft.errors import UserError

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)


def _file(image, kind="PNG", **options):
  file = io.BytesIO()
  image.save(file, kind, **options)
  return file.getvalue()


def test_png_pixels_come_back_as_they_went_in():
  data = _file(Image.fromarray(PIXELS))
  np.testing.assert_array_equal(decode(data, "a.png"), PIXELS)


def test_the_exif_orientation_turns_the_image_unless_told_not_to():
  exif = Image.Exif()
  exif[0x0112] = 6  # Shown turned by 90 degrees clockwise.
  data = _file(Image.fromarray(PIXELS), exif=exif)
  np.testing.assert_array_equal(decode(data, "a"), np.rot90(PIXELS, -1))
  np.testing.assert_array_equal(decode(data, "a", upright=False), PIXELS)


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "1", "CMYK"])
def test_every_8_bit_mode_becomes_rgb(mode):
  image = Image.fromarray(PIXELS).convert(mode)
  data = _file(image, "TIFF" if mode == "CMYK" else "PNG")
  assert decode(data, "a").shape == (20, 30, 3)


def test_a_palette_with_transparency_does_not_warn():
  image = Image.fromarray(PIXELS).convert("P")
  data = _file(image, transparency=bytes(range(256)))
  assert decode(data, "a").shape == (20, 30, 3)


def test_sixteen_bits_are_refused_rather_than_clipped():
  deep = Image.fromarray(np.full((4, 4), 40000, np.uint16))
  with pytest.raises(UserError, match=r"deep\.png: mode I;16"):
    decode(_file(deep), "deep.png")


def test_a_bomb_is_refused_before_it_is_decoded():
  data = _file(Image.new("L", (300, 300)))
  with pytest.raises(
    UserError, match=r"bomb\.png: 300 x 300 pixels, more than"
  ):
    decode(data, "bomb.png", max_pixels=80_000)


def test_a_real_bomb_is_refused(tmp_path):
  path = tmp_path / "bomb.png"
  path.write_bytes(_file(Image.new("1", (20_000, 10_000))))
  assert "bomb.png" in (verify(path) or "")


def test_a_small_file_of_many_pixels_is_refused():
  # 6 kB that would take 64 million pixels, 0.5 GB.
  data = _file(Image.new("1", (8000, 8000)))
  assert len(data) < 10_000
  with pytest.raises(
    UserError, match=r"b\.png: 8000 x 8000 pixels in \d+ bytes"
  ):
    decode(data, "b.png")
  blank = _file(Image.new("1", (2000, 2000)))
  assert decode(blank, "blank.png").shape == (2000, 2000, 3)


@pytest.mark.parametrize("side", [1, 7, 8])
def test_the_smallest_jpeg_is_no_damaged_one(tmp_path, side):
  path = tmp_path / "tiny.jpg"
  path.write_bytes(_file(Image.new("RGB", (side, 3)), "JPEG"))
  assert verify(path) is None


def test_what_pillow_hands_to_other_programs_is_not_opened(monkeypatch):
  # EPS is PostScript, a program: Pillow runs it by Ghostscript.
  data = _file(Image.fromarray(PIXELS), "EPS")
  monkeypatch.setattr("subprocess.Popen", None)
  monkeypatch.setattr("subprocess.check_call", None)
  with pytest.raises(
    UserError, match=r"a\.jpg: cannot decode .*cannot identify"
  ):
    decode(data, "a.jpg")


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_truncated_file_is_named(tmp_path, kind):
  path = tmp_path / "half.img"
  noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
  data = _file(Image.fromarray(noise), kind)
  path.write_bytes(data)
  assert verify(path) is None
  path.write_bytes(data[: len(data) // 2])
  with pytest.raises(UserError, match=r"half\.img: cannot decode this image"):
    decode(path, str(path))
  assert "half.img" in (verify(path) or "")


def test_what_is_no_image_is_named():
  with pytest.raises(UserError, match=r"notes\.jpg: cannot decode"):
    decode(b"these are notes", "notes.jpg")


def test_a_missing_file_is_named():
  with pytest.raises(UserError, match=r"gone\.jpg"):
    decode(pathlib.Path("gone.jpg"), "gone.jpg")
