"""Pretrains the small ResNet that jft ships, on Fashion-MNIST.

  apt-get install dataset-fashion-mnist
  jft train --config=configs/pretrain_fashion.py --workdir=runs/fashion

The images are shrunk from 28 to 16 pixels, so that an epoch takes a minute and
a half on two cores and the digits of the quickstart, 8 x 8, fit. RESULTS
"""

import jft.config


def get_config():
  c = jft.config.default()
  c.model.arch = "resnet14_small"
  c.model.pretrained = False
  c.data.train = "idx:/usr/share/datasets/fashion-mnist/train"
  c.data.test = "idx:/usr/share/datasets/fashion-mnist/test"
  c.data.validation_fraction = 0.05
  c.data.image_size = 16
  c.optim.lr = 4e-3
  c.optim.warmup_steps = 200
  c.optim.weight_decay = 0.05
  c.optim.clip_norm = 1.0
  c.train.epochs = 8.0
  c.train.batch_size = 128
  c.log.every_steps = 20
  return c
