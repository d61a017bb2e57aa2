"""Fine-tunes the last stage of the real ImageNet ResNet-50 on five flowers.

  export JFT_DATA=...   # flowers/flowers/CLASS, resnet50-imagenet-keras/
  jft train --config=configs/flowers_resnet50.py --workdir=runs/flowers

The set's pictures of 128 pixels show hardly more than 32 would: a head
alone named 0.75 of a validation set, and no more with larger inputs.

Six pictures of the set are there twice, four of them as a rose and as a tulip.
The split is by content, so both copies are always on one side; with two labels
for one picture nothing can be right about all of them. The expected accuracy,
seeds, hardware and wall time are in the README's table, which a script writes.
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
  c.data.image_size = 96
  c.data.squeeze = True
  c.data.augment = "flip"
  c.tune.preset = "top_blocks"
  c.tune.blocks = 3
  c.optim.lr = 1e-3
  c.optim.backbone_lr_scale = 0.2
  c.optim.warmup_steps = 10
  c.optim.weight_decay = 0.01
  c.train.epochs = 3.0
  c.train.batch_size = 32
  c.eval.batch_size = 64
  c.stop.metric = "val/loss"
  c.stop.mode = "min"
  return c
