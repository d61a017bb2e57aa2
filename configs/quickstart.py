"""Fine-tunes a small ResNet, pretrained on MNIST, on scikit-learn's digits.

  jft train --config=configs/quickstart.py --workdir=runs/quickstart

Offline: the weights are in the wheel, the digits (other writers, 8 x 8 pixels)
in scikit-learn. The head is trained first, then the top blocks join in;
training stops when the validation accuracy does, and goes back to the best
checkpoint. Expected test accuracy, seeds, hardware and wall time are in the
README's table, which a script writes.
"""

import jft.config


def get_config():
  c = jft.config.default()
  c.model.source = "jft:resnet14_mnist"
  c.data.train = "sklearn:digits"
  c.data.validation_fraction = 0.1
  c.data.test_fraction = 0.2
  c.tune.preset = "top_blocks"
  c.tune.blocks = 2
  c.tune.head_first = 0.15
  c.optim.lr = 5e-3
  c.optim.backbone_lr_scale = 0.5
  c.optim.warmup_steps = 10
  c.optim.weight_decay = 0.01
  c.optim.clip_norm = 1.0
  c.train.steps = 240
  c.train.batch_size = 64
  c.eval.every_steps = 20
  c.stop.patience = 4
  return c
