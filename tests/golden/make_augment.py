"""Makes tests/golden/augment.npz: what torchvision makes of a picture.

  cd tests && python -m golden.make_augment

needs torch and torchvision. Values are kept in steps of 1 / 65535.
"""

import math

import numpy as np
import torch
from golden import augment_cases as ours
from golden.make_resnet import torchvision

import torchvision.transforms.v2.functional as F  # isort: skip
from torchvision.transforms import InterpolationMode, autoaugment  # isort: skip

NAMES = {
  "shear_x": "ShearX",
  "shear_y": "ShearY",
  "translate_x": "TranslateX",
  "translate_y": "TranslateY",
  "autocontrast": "AutoContrast",
}


def cases(height=ours.HEIGHT, width=ours.WIDTH):
  """The same as `augment_cases.cases`, over Tensor[c h w]."""
  start, end = ours.corners_of(height, width)
  size = [height, width]
  crop = height // 8, width // 10, height // 3, width * 3 // 4
  made = {
    "brightness": lambda t: F.adjust_brightness(t, 1.4),
    "contrast": lambda t: F.adjust_contrast(t, 1.7),
    "contrast_low": lambda t: F.adjust_contrast(t, 0.3),
    "saturation": lambda t: F.adjust_saturation(t, 0.3),
    "hue": lambda t: F.adjust_hue(t, 0.2),
    "hue_back": lambda t: F.adjust_hue(t, -0.4),
    "grayscale": lambda t: F.rgb_to_grayscale(t, 3),
    "invert": F.invert,
    "solarize": lambda t: F.solarize(t, 128),
    "posterize": lambda t: F.posterize(t, 3),
    "autocontrast": F.autocontrast,
    "equalize": F.equalize,
    "sharpness": lambda t: F.adjust_sharpness(t, 1.9),
    "sharpness_low": lambda t: F.adjust_sharpness(t, 0.2),
    "gaussian_blur": lambda t: F.gaussian_blur(t, [9, 9], [1.7, 1.7]),
    "resized_crop": lambda t: F.resized_crop(t, *crop, size, antialias=True),
  }
  for kind in ("bilinear", "nearest"):
    mode = InterpolationMode(kind)
    made |= {
      f"rotate_{kind}": lambda t, mode=mode: F.rotate(
        t, 30.0, interpolation=mode
      ),
      f"affine_{kind}": lambda t, mode=mode: F.affine(
        t, 20.0, [3, -2], 1.2, list(ours.ANGLES), interpolation=mode
      ),
      f"perspective_{kind}": lambda t, mode=mode: F.perspective(
        t, start, end, interpolation=mode
      ),
    }
  return made


def record(image):
  """Returns {name: Float32["h w c"]} of a UInt8["h w c"] picture."""
  eight = torch.from_numpy(image.transpose(2, 0, 1).copy())
  floats = torch.from_numpy(np.float32(image / 255).transpose(2, 0, 1).copy())
  made = {}
  for name, change in cases(*image.shape[:2]).items():
    exact = name in ours.EIGHT_BIT
    out = change(eight if exact else floats).numpy().transpose(1, 2, 0)
    made[name] = np.float32(out / 255) if exact else out
  return made


def changed(image, kind, amount):
  """Returns what RandAugment's own code makes of a picture, UInt8."""
  tensor = torch.from_numpy(image.transpose(2, 0, 1).copy())
  name = NAMES.get(kind, kind.capitalize())
  out = autoaugment._apply_op(
    tensor, name, amount, InterpolationMode.NEAREST, [0.0] * 3
  )
  return out.numpy().transpose(1, 2, 0)


def spaces(height, width):
  """{policy: {kind: strengths, lowest first}} of torchvision's classes."""
  names = {theirs: kind for kind, theirs in NAMES.items()}
  found = {
    "rand": autoaugment.RandAugment()._augmentation_space(31, (height, width)),
    "trivial": autoaugment.TrivialAugmentWide()._augmentation_space(31),
    "mix": autoaugment.AugMix()._augmentation_space(10, (height, width)),
  }
  return {
    policy: {
      names.get(kind, kind.lower()): (values.numpy(), signed)
      for kind, (values, signed) in space.items()
    }
    for policy, space in found.items()
  }


def main():
  image = ours.picture()
  made = {
    name: np.round(np.clip(x, 0, 1) * 65535).astype(np.uint16)
    for name, x in record(image).items()
  }
  policies = {
    f"rand/{kind}": changed(image, kind, amount)
    for kind, amount in ours.kinds().items()
  }
  np.savez_compressed(
    ours.FILE,
    torchvision=np.array(torchvision.__version__),
    **made,
    **policies,
  )
  print(math.ceil(ours.FILE.stat().st_size / 1024), "KiB")


if __name__ == "__main__":
  main()
