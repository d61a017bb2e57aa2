"""Augmentation: pure functions of an example and of named randomness.

  train = jft.data.batches(source, 32, encode, seed=0, augment=crop_flip)

What is drawn for an example depends on the seed, the epoch and the example's
id alone: not on the batch, the devices, the threads, or where a run resumed.
"""

from jft.augment.images import crop, crop_flip, flip

__all__ = ["crop", "crop_flip", "flip"]
