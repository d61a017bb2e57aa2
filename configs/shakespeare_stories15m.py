"""Teaches the real 15M-parameter Llama of children's stories to write plays.

  export JFT_DATA=...   # llama2c-stories15M/, tinyshakespeare/input.txt
  jft train --config=configs/shakespeare_stories15m.py --workdir=runs/plays
  echo "ROMEO:" > prompts.txt
  jft predict --workdir=runs/plays prompts.txt

The last tenth of Shakespeare's lines is held out, one half to choose the best
checkpoint and the other for the test: perplexities of 1,114 and 1,602 before
training, and README.md says what it reaches.
"""

import os

import jft.config


def get_config():
  c = jft.config.default()
  c.model.source = os.path.expandvars("$JFT_DATA/llama2c-stories15M")
  c.task.name = "causal_lm"
  c.data.train = "text:$JFT_DATA/tinyshakespeare/input.txt[:90%]"
  c.data.validation = "text:$JFT_DATA/tinyshakespeare/input.txt[90%:95%]"
  c.data.test = "text:$JFT_DATA/tinyshakespeare/input.txt[95%:]"
  c.data.max_length = 256
  c.optim.lr = 3e-4
  c.optim.warmup_steps = 30
  c.optim.weight_decay = 0.1
  c.optim.clip_norm = 1.0
  c.train.epochs = 1.0
  c.train.batch_size = 8
  c.eval.batch_size = 16
  c.eval.every_epochs = 0.25
  c.eval.at_start = True
  c.stop.metric = "val/perplexity"
  c.stop.mode = "min"
  c.generate.max_new_tokens = 100
  c.generate.temperature = 0.8
  c.generate.top_p = 0.9
  return c
