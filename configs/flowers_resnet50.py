"""Fine-tunes the real ImageNet ResNet-50 to name five kinds of flowers."""

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
