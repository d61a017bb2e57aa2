"""scikit-learn's handwritten digits: real, small and on every machine."""

from typing import Any

import numpy as np

from jft.data.sources.arrays import Arrays, arrays


def digits() -> Arrays:
  """Returns the 1,797 digits of 43 writers, UInt8[8 8 1], labels 0 to 9.

  Source: Alpaydin and Kaynak, 1998, "Optical recognition of handwritten
  digits" (the test half of the UCI set), as `sklearn.datasets.load_digits`.
  """
  from sklearn.datasets import load_digits

  found: Any = load_digits()
  # Counts of inked pixels in 4 x 4 squares, 0 to 16.
  images = np.round(found.images * (255 / 16)).astype(np.uint8)
  return arrays(
    {"image": images[..., None], "label": found.target.astype(np.int32)},
    name="sklearn:digits",
    label_names=[str(name) for name in found.target_names],
  )
