"""One tiny model of each kind, for what is said of the names of parameters."""

import functools

import jax
import numpy as np
import tiny

from jft.models import (
  bert,
  convnext,
  densenet,
  gpt2,
  llama,
  resnet,
  vgg,
  vit,
  vit_config,
)

GPT2 = {
  "model_type": "gpt2",
  "vocab_size": 20,
  "n_embd": 8,
  "n_layer": 2,
  "n_head": 2,
  "n_positions": 16,
}
_TOKENS = jax.ShapeDtypeStruct((1, 4), np.int32)


def _image(side):
  return jax.ShapeDtypeStruct((1, side, side, 3), np.float32)


def _modules():
  text = {"input_ids": _TOKENS, "attention_mask": _TOKENS}
  small = {"width": 4}
  two = {**tiny.BERT, "num_hidden_layers": 2}
  gpt = gpt2.Gpt2Config.from_hf(GPT2)
  return {
    "resnet": (
      resnet.module(resnet.Config((1, 1), stem="deep", **small), 3),
      _image(32),
    ),
    "vgg": (
      vgg.module(vgg.Config((1, 1), hidden=4, norm=True, **small), 3),
      _image(8),
    ),
    "densenet": (
      densenet.module(densenet.Config((1, 1), growth=4, **small), 3),
      _image(32),
    ),
    "convnext": (
      convnext.module(convnext.Config((1, 1, 1, 1), (4, 4, 4, 4)), 3),
      _image(32),
    ),
    "vit": (
      vit.module(
        vit_config.Config(
          width=8, depth=2, heads=2, patch_size=4, image_size=8
        ),
        3,
      ),
      _image(8),
    ),
    "bert": (bert.module(bert.BertConfig.from_hf(two), 3), text),
    "gpt2": (gpt2.module(gpt, gpt.vocab_size), text),
    "llama": (llama.module(llama.LlamaConfig.from_hf(tiny.LLAMA), 24), text),
  }


@functools.cache
def params(family):
  """Returns the shapes of the parameters of a family's tiny model."""
  module, inputs = _modules()[family]
  return jax.eval_shape(module.init, jax.random.key(0), inputs)["params"]
