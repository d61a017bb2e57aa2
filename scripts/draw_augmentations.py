"""Writes docs/pictures/augment_*.png: a small sheet for each group of changes.

  python scripts/draw_augmentations.py

from a photograph that comes with scikit-learn: a row a change, the first
column untouched.
"""

import io
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import PIL.Image
from sklearn.datasets import load_sample_image

from jft import augment, config, contact_sheet, pictures
from jft.augment import ops, views
from jft.augmented import Picture, shares
from jft.build.augment import OPS

FOLDER = pathlib.Path(__file__).parent.parent / "docs" / "pictures"
SIDE, COLUMNS, WIDTH = 112, 7, 700
# What happens seldom is shown always.
ALWAYS = {
  "perspective": ops.perspective(p=1.0),
  "grayscale": ops.grayscale(1.0),
  "gaussian_blur": ops.gaussian_blur(1.0),
  "sharpness": ops.sharpness(1.0),
  "solarize": ops.solarize(1.0),
  "posterize": ops.posterize(1.0),
  "equalize": ops.equalize(1.0),
  "autocontrast": ops.autocontrast(1.0),
  "invert": ops.invert(1.0),
  "erasing": ops.erasing(1.0, fill=0.5),
}
GROUPS = {
  "places": (
    "flip",
    "flip_vertical",
    "random_resized_crop",
    "pad_crop",
    "rotate",
    "scale",
    "affine",
    "perspective",
  ),
  "tones": (
    "color_jitter",
    "grayscale",
    "gaussian_blur",
    "sharpness",
    "solarize",
    "posterize",
    "equalize",
    "autocontrast",
    "invert",
  ),
  "policies": ("rand_augment", "trivial_augment", "aug_mix", "erasing"),
}


def photographs():
  """Float32[2 112 112 3]: a flower and a temple."""
  boxes = {"flower.jpg": (110, 20, 530, 427), "china.jpg": (100, 0, 527, 427)}
  found = []
  for name, box in boxes.items():
    image = PIL.Image.fromarray(load_sample_image(name)).crop(box)
    found.append(np.asarray(image.resize((SIDE, SIDE)), np.float32) / 255)
  return np.stack(found)


def row(name, image):
  """One picture as it is and several times changed."""
  c = config.default().augment
  c.unlock()
  c.padding = SIDE // 8
  op = ALWAYS.get(name) or OPS[name](c)
  batch = {
    "image": jnp.stack([image] * (COLUMNS - 1)),
    "id": jnp.arange(COLUMNS - 1),
  }
  change = jax.jit(augment.on_images([op]))
  got = np.asarray(change(jax.random.key(1), batch)["image"])
  return [Picture(image, name), *(Picture(one, "") for one in got)]


def mixed(images):
  """A row of mixup and one of CutMix, with the labels that are trained on."""
  names, rows = ("flower", "temple"), []
  for name in ("mixup", "cutmix"):
    change = augment.mix(**{name: 1.0}, classes=2)
    made = [Picture(images[0], name)]
    for i in range(COLUMNS - 1):
      batch = {
        "image": jnp.asarray(images),
        "label": jnp.array([0, 1]),
        "mask": jnp.ones(2),
        "id": jnp.array([i, 100 + i]),
      }
      got = change(jax.random.key(2), batch)
      label = shares(np.asarray(got["label"][0]), names)
      made.append(Picture(np.asarray(got["image"][0]), label))
    rows.append(made)
  return rows


def seen(images):
  """The views of test-time augmentation."""
  made = views.crops(jnp.asarray(images[:1]))
  titles = ("as it is", *["a corner"] * 4, "the middle")
  pictures_ = [
    Picture(np.asarray(view[0]), title)
    for view, title in zip(made, titles, strict=True)
  ]
  mirrored = np.asarray(views.flips(jnp.asarray(images[:1]))[1][0])
  return [[*pictures_, Picture(mirrored, "mirrored")]]


def write(name, rows):
  """Writes a sheet in 256 colours, some 100 KB."""
  data = pictures.png(contact_sheet.draw(rows))
  with PIL.Image.open(io.BytesIO(data)) as drawn:
    height = round(drawn.height * WIDTH / drawn.width)
    small = drawn.convert("RGB").resize((WIDTH, height))
    small = small.quantize(256)
  FOLDER.mkdir(exist_ok=True)
  small.save(FOLDER / f"augment_{name}.png", optimize=True)


def main():
  images = photographs()
  for group, names in GROUPS.items():
    write(group, [row(name, images[0]) for name in names])
  write("mixing", mixed(images))
  write("views", seen(images))
  print(sum(f.stat().st_size for f in FOLDER.glob("augment_*")) // 1024, "KiB")


if __name__ == "__main__":
  main()
