"""Makes tests/golden/preprocessing.json: what the projects' own code gives.

  cd tests && JFT_DATA=... python -m golden.make_preprocessing

needs torch, torchvision, timm and transformers, and hymenoptera's photographs
(see SOURCE.txt beside them). It prints how far jft is from each, over all the
photographs of the validation set and the few that are recorded.
"""

import hashlib
import json
import os
import pathlib

import numpy as np
import PIL.Image
from golden.make_resnet import torchvision
from golden.preprocessing_cases import CASES, IMAGES

from jft.data import to_float
from jft.pretrained import preprocessing

FOLDER = pathlib.Path(os.environ["JFT_DATA"]) / "hymenoptera"
OUT = pathlib.Path(__file__).parent / "preprocessing.json"


def timm_transform(config):
  import timm.data

  inside = config.get("pretrained_cfg", config)
  keys = ("input_size", "interpolation", "crop_pct", "crop_mode", "mean", "std")
  made = timm.data.create_transform(**{key: inside[key] for key in keys})
  return lambda image: made(image).numpy()


def hf_transform(processed):
  import transformers

  name = processed["image_processor_type"] + "Pil"
  made = getattr(transformers, name)(**processed)
  return lambda image: np.asarray(made(image)["pixel_values"][0])


def reference(config, processed):
  return timm_transform(config) if config else hf_transform(processed)


def ours(image, config, processed):
  facts, _ = preprocessing.resolve(
    config, processed, ("", None), {}, source="golden", channels=3
  )
  return to_float(
    np.asarray(image),
    facts.image_size,
    facts.mean,
    facts.std,
    resize=facts.resize,
    crop_pct=facts.crop_pct,
    squeeze=facts.squeeze,
  )


def main():
  print("torchvision", torchvision.__version__)
  found = {}
  every = sorted((FOLDER / "val").rglob("*.jpg"))[::6]
  for name, (config, processed) in CASES.items():
    apply = reference(config, processed)
    rows = {}
    for file in IMAGES:
      with PIL.Image.open(FOLDER / file) as opened:
        image = opened.convert("RGB")
      pixels = apply(image).transpose(1, 2, 0).astype(np.float32)
      rows[file] = {
        "decoded": hashlib.sha256(np.asarray(image).tobytes()).hexdigest(),
        "shape": list(pixels.shape),
        "pixels": pixels[[0, 70, 150], [3, 90, 20]].round(5).tolist(),
        "mean": round(float(pixels.mean(dtype=np.float64)), 6),
      }
    differ, most = 0, 0.0
    for path in every:
      with PIL.Image.open(path) as opened:
        image = opened.convert("RGB")
      theirs = apply(image).transpose(1, 2, 0)
      got = ours(image, config, processed)
      scale = 1 / max(1e-9, float(np.abs(theirs).max()))
      error = float(np.abs(got - theirs).max()) * scale
      differ += error > 1e-5
      most = max(most, error if error <= 1e-5 else 0.0)
    found[name] = rows
    print(f"{name}: {differ} of {len(every)} differ; the others by {most:.1e}")
  OUT.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
  main()
