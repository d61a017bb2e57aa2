"""Makes golden/gguf/: small decoders as llama.cpp's converter writes them.

  cd tests && python -m golden.make_gguf

needs torch, transformers, accelerate and gguf. What convert_hf_to_gguf.py does
to a model is done here by hand (names, and Llama's permutation); what the file
then computes is recorded from transformers' own reader of GGUF, which goes its
own way back.
"""

import contextlib
import json
import pathlib

import gguf
import numpy as np
import torch
from golden import weights

with contextlib.suppress(ImportError):
  # Mends a torchvision without operators, which transformers would trip over.
  from golden import make_resnet  # noqa: F401
import transformers

FOLDER = pathlib.Path(__file__).parent / "gguf"
IDS = [[3, 17, 42, 7, 7, 95, 0, 61, 12, 30]]
SIZES = {
  "vocab_size": 96,
  "hidden_size": 32,
  "intermediate_size": 64,
  "num_hidden_layers": 2,
  "num_attention_heads": 2,
  "num_key_value_heads": 1,
  "max_position_embeddings": 64,
  "rms_norm_eps": 1e-5,
}
NAMES = {
  "model.embed_tokens": "token_embd",
  "model.norm": "output_norm",
  "lm_head": "output",
  "model.layers": "blk",
  "self_attn.q_proj": "attn_q",
  "self_attn.k_proj": "attn_k",
  "self_attn.v_proj": "attn_v",
  "self_attn.o_proj": "attn_output",
  "self_attn.q_norm": "attn_q_norm",
  "self_attn.k_norm": "attn_k_norm",
  "mlp.gate_proj": "ffn_gate",
  "mlp.up_proj": "ffn_up",
  "mlp.down_proj": "ffn_down",
  "input_layernorm": "attn_norm",
  "post_attention_layernorm": "ffn_norm",
}
GEMMA = NAMES | {
  "post_attention_layernorm": "post_attention_norm",
  "pre_feedforward_layernorm": "ffn_norm",
  "post_feedforward_layernorm": "post_ffw_norm",
}
GPT2 = {
  "transformer.wte": "token_embd",
  "transformer.wpe": "position_embd",
  "transformer.ln_f": "output_norm",
  "transformer.h": "blk",
  "attn.c_attn": "attn_qkv",
  "attn.c_proj": "attn_output",
  "ln_1": "attn_norm",
  "ln_2": "ffn_norm",
  "mlp.c_fc": "ffn_up",
  "mlp.c_proj": "ffn_down",
}
# What transformers does not take out of a file.
NOT_READ = {
  "qwen3": {"head_dim": 32},
  "gemma2": {"query_pre_attn_scalar": 32},
  "gpt2": {"n_positions": 64, "n_inner": 64},
}
# Architecture, what differs, and the type of its matrices.
CASES = {
  "llama": ("llama", {"tie_word_embeddings": False}, "Q8_0"),
  "qwen2": ("qwen2", {"tie_word_embeddings": True}, "Q4_1"),
  "qwen3": ("qwen3", {"tie_word_embeddings": True, "head_dim": 32}, "F16"),
  "gemma2": (
    "gemma2",
    {"tie_word_embeddings": True, "head_dim": 32, "query_pre_attn_scalar": 32},
    "Q8_0",
  ),
  "gpt2": ("gpt2", {"tie_word_embeddings": True}, "Q8_0"),
}


def name_of(arch, theirs):
  for old, new in {"gemma2": GEMMA, "gpt2": GPT2}.get(arch, NAMES).items():
    theirs = theirs.replace(old, new)
  return theirs


def permuted(array, heads):
  """convert_hf_to_gguf.py: LlamaModel.permute."""
  halves = array.reshape(heads, 2, -1, *array.shape[1:])
  return halves.swapaxes(1, 2).reshape(array.shape)


def tokenizer(writer):
  """Of 96 tokens: GPT-2's kind, one control token, one merge."""
  tokens = ["<|end|>", *(chr(33 + i) for i in range(94)), "ab"]
  writer.add_tokenizer_model("gpt2")
  writer.add_tokenizer_pre("smollm")
  writer.add_token_list(tokens)
  writer.add_token_types([3] + [1] * 95)
  writer.add_token_merges(["a b"])
  writer.add_eos_token_id(0)
  writer.add_chat_template("{{ messages }}")


def write(path, arch, config, state, kind):
  writer = gguf.GGUFWriter(path, arch)
  writer.add_block_count(config.num_hidden_layers)
  writer.add_context_length(config.max_position_embeddings)
  writer.add_embedding_length(config.hidden_size)
  writer.add_feed_forward_length(SIZES["intermediate_size"])
  writer.add_head_count(config.num_attention_heads)
  if arch == "gpt2":
    writer.add_layer_norm_eps(config.layer_norm_epsilon)
  else:
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(10_000.0)
  if arch in ("qwen3", "gemma2"):
    writer.add_key_length(config.head_dim)
    writer.add_value_length(config.head_dim)
  tokenizer(writer)
  quantised = gguf.GGMLQuantizationType[kind]
  for name, value in state.items():
    array = value.numpy()
    if arch == "llama" and name.endswith(("q_proj.weight", "k_proj.weight")):
      is_query = name.endswith("q_proj.weight")
      heads = (
        config.num_attention_heads if is_query else config.num_key_value_heads
      )
      array = permuted(array, heads)
    if arch == "gemma2" and name.endswith("norm.weight"):
      array = array + 1
    if arch == "gpt2" and ".c_" in name:
      array = np.ascontiguousarray(array.T)
    packed = gguf.quants.quantize(array, quantised) if array.ndim > 1 else array
    raw = quantised if array.ndim > 1 and kind != "F16" else None
    writer.add_tensor(name_of(arch, name), packed, raw_dtype=raw)
  writer.write_header_to_file()
  writer.write_kv_data_to_file()
  writer.write_tensors_to_file()
  writer.close()


def main():
  FOLDER.mkdir(exist_ok=True)
  found = {}
  for name, (arch, options, kind) in CASES.items():
    sizes = SIZES | ({"n_inner": 64} if arch == "gpt2" else {})
    config = transformers.AutoConfig.for_model(arch, **sizes | options)
    model = transformers.AutoModelForCausalLM.from_config(config)
    state = {
      key: torch.from_numpy(weights.draw(key, tuple(value.shape), 0))
      for key, value in model.state_dict().items()
      if not (config.tie_word_embeddings and key.startswith("lm_head"))
    }
    write(FOLDER / f"{name}.gguf", arch, config, state, kind)
    read = transformers.AutoModelForCausalLM.from_pretrained(
      FOLDER,
      gguf_file=f"{name}.gguf",
      dtype=torch.float32,
      **NOT_READ.get(arch, {}),
    )
    with torch.no_grad():
      logits = read(torch.tensor(IDS)).logits[0].numpy().astype(np.float64)
    found[name] = {
      "mean": float(logits.mean()),
      "last": np.round(logits[-1], 5).tolist(),
      "best": logits.argmax(-1).tolist(),
    }
  (FOLDER / "expected.json").write_text(json.dumps(found) + "\n")


if __name__ == "__main__":
  main()
