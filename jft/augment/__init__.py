"""Augmentation: pure functions of an example and of named randomness.

On the device, inside the step:

  from jft.augment import ops
  see = jft.augment.on_images([ops.flip(), ops.rotate(15)], mean=m, std=s)
  mix = jft.augment.mix(mixup=0.2, cutmix=1.0, classes=10)
  hooks = jft.step.Hooks(augment=jft.augment.chain(see, mix))
  step = jft.make_train_step(net.apply, task, tx, hooks=hooks)

On the host, before pictures are resized:

  train = jft.data.batches(source, 32, encode, seed=0, augment=crop_flip)

What is drawn for an example depends on the seed, the step (on the host: the
epoch) and the example's id alone: not on the batch, the devices, the threads,
or where a run resumed.
"""

from jft.augment.batch import Augment, chain, on_images
from jft.augment.images import crop, crop_flip, flip
from jft.augment.mixing import mix
from jft.augment.tokens import Vocabulary, token_masking, word_dropout
from jft.augment.views import averaged

__all__ = [
  "Augment",
  "Vocabulary",
  "averaged",
  "chain",
  "crop",
  "crop_flip",
  "flip",
  "mix",
  "on_images",
  "token_masking",
  "word_dropout",
]
