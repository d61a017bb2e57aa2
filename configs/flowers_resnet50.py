"""Trains a head on the real ImageNet ResNet-50 to name five kinds of flowers.

  export JFT_DATA=...   # flowers/flowers/CLASS, resnet50-imagenet-keras/
  jft train --config=configs/flowers_resnet50.py --workdir=runs/flowers

A start to improve on: 600 of the 4,317 pictures, two passes, at their own 128
pixels. One run, seed 0, reached a test accuracy of 0.695 in 757 s on 2 CPU
cores that many other programs kept busy; other seeds have not been run.

Six pictures of the set are there twice, four of them as a rose and as a tulip.
The split is by content, so both copies are always on one side; with two labels
for one picture nothing can be right about all of them.
"""

import os

import jft.config


def get_config():
  c = jft.config.default()
  if "JFT_DATA" in os.environ:
    c.model.source = os.path.expandvars("$JFT_DATA/resnet50-imagenet-keras")
    c.model.arch = "resnet50"
  else:
    c.model.source = "hf:timm/resnet50.tv_in1k"
  c.data.train = "folder:$JFT_DATA/flowers/flowers"
  c.data.validation_fraction = 0.05
  c.data.test_fraction = 0.1
  c.data.train_examples = 600
  c.data.image_size = 128  # that of the files: enlarging them adds nothing
  c.data.squeeze = True
  c.data.augment = "flip"
  c.tune.preset = "linear_probe"
  c.optim.lr = 3e-3
  c.optim.weight_decay = 0.01
  c.train.epochs = 2.0
  c.train.batch_size = 32
  c.eval.every_epochs = 2.0
  c.eval.batch_size = 64
  c.stop.metric = "val/loss"
  c.stop.mode = "min"
  return c
