import numpy as np
from PIL import Image

from jft.data import image_folder, subset
from jft.preflight import images, near

RNG = np.random.default_rng(0)


def smooth(seed, width=80, height=60):
  rough = np.random.default_rng(seed).integers(30, 220, (5, 5, 3), np.uint8)
  return Image.fromarray(rough).resize(
    (width, height), Image.Resampling.BICUBIC
  )


def folder(path, changes=None, count=12):
  """A folder of two classes; `changes` are {name: picture or bytes}."""
  pictures = {f"{i:02d}.jpg": smooth(i) for i in range(count)}
  for i, (name, picture) in enumerate((pictures | (changes or {})).items()):
    file = path / ("ant", "bee")[i % 2] / name
    file.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(picture, bytes):
      file.write_bytes(picture)
    else:
      picture.save(file, quality=90)
  return path


def checked(path, side=64, **options):
  source = image_folder(path, **options)
  seen = images.survey(source, np.arange(len(source)))
  return images.check({"train": source}, {"train": seen}, side)


def test_sound_images(tmp_path):
  (found,) = checked(folder(tmp_path))
  assert found.level == "ok"
  assert found.message == "12 decoded, 60 x 80 pixels (height x width)."


def test_unreadable_images_are_counted_with_their_names(tmp_path):
  folder(tmp_path, {"broken.jpg": b"no picture", "cut.png": b"\x89PNG"})
  (found,) = checked(tmp_path)
  assert found.level == "error"
  assert "2 of 14 images (14.3 %) cannot be read: ant/broken.jpg, bee/cut" in (
    found.message
  )
  assert set(found.details["images"]) == {"ant/broken.jpg", "bee/cut.png"}
  (found, *_) = checked(tmp_path, on_error="skip")
  assert (found.level, found.details["count"]) == ("warning", 2)
  assert "are left out" in found.message


def test_odd_images(tmp_path):
  odd = {
    "blank.png": Image.new("RGB", (80, 60), "white"),
    "long.jpg": smooth(50, 410, 100),
    "small.jpg": smooth(51, 20, 31),
    "grey.jpg": smooth(52).convert("L"),
  }
  found = checked(folder(tmp_path, odd))
  named = {f.details["images"][0].split("/")[1]: f.level for f in found}
  assert named == {
    "blank.png": "warning",
    "long.jpg": "warning",
    "small.jpg": "warning",
    "grey.jpg": "note",
  }
  assert all(f.details["count"] == 1 for f in found)


def test_what_most_images_are_is_only_noted(tmp_path):
  for i in range(4):
    path = tmp_path / "ant" / f"{i}.png"
    path.parent.mkdir(exist_ok=True)
    smooth(i).convert("L").save(path)
  found = checked(tmp_path, side=224)
  assert [f.level for f in found] == ["ok", "note"]  # Small, and not "grey".


def test_a_resized_copy_in_validation_is_found(tmp_path):
  again = smooth(3).resize((120, 90))
  source = image_folder(folder(tmp_path, {"again.jpg": again}))
  at = source.files.index("ant/again.jpg")
  rest = np.setdiff1d(np.arange(len(source)), [at, 5])
  sources = {
    "train": subset(source, rest, "train"),
    "val": subset(source, [5, at], "val"),
  }
  seen = {
    split: images.survey(s, np.arange(len(s))) for split, s in sources.items()
  }
  (found,) = near.of_images(sources, seen, {"val": set()})
  assert (found.level, found.details["count"]) == ("warning", 1)
  assert "ant/again.jpg ~ bee/03.jpg" in found.message
  (found,) = near.of_images(sources, seen, {"val": {1}})  # A leak by bytes.
  assert found.level == "ok"


def test_tiny_pictures_are_not_compared(tmp_path):
  tiny = {f"{i:02d}.jpg": smooth(i, 16, 16) for i in range(12)}
  source = image_folder(folder(tmp_path, tiny))
  seen = {s: images.survey(source, np.arange(12)) for s in ("train", "val")}
  (found,) = near.of_images(dict.fromkeys(seen, source), seen, {"val": set()})
  assert found.level == "note"
  assert "not looked for: pictures below 32 pixels" in found.message
