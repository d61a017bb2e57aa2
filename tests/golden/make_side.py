"""Makes tests/golden/side.npz: what peft and plain torch compute of adapters.

  cd tests && python -m golden.make_side

needs torch, transformers and peft (2.13.0, 5.24.0 and 0.21.2 when last run).
IA3, prefix and prompt tuning are peft's own; of the bottlenecks and of VPT,
which it has not, it is the papers' formula on transformers' modules, by hooks.
"""

import contextlib
import pathlib
import tempfile

import numpy as np
import torch
from golden import decoder_cases, make_decoders, make_text, side_cases, weights
from golden.side_cases import CASES, DECODERS, ENCODERS, TOKENS, WIDTH

with contextlib.suppress(ImportError):
  # Mends a torchvision without operators, which transformers would trip over.
  from golden import make_resnet  # noqa: F401
import peft
import transformers

VERSION = (
  f"{peft.__version__}, transformers {transformers.__version__}, torch"
  f" {torch.__version__}"
)

_TARGETS = {
  "bert": (
    r".*(attention\.self\.(key|value)|layer\.\d+\.output\.dense)",
    r".*layer\.\d+\.output\.dense",
  ),
  "llama": (r".*\.(k_proj|v_proj|down_proj)", r".*\.down_proj"),
}
_IA3 = {
  "bert": {
    "attention/key/output": "bert.encoder.layer.{}.attention.self.key",
    "attention/value/output": "bert.encoder.layer.{}.attention.self.value",
    "mlp/down/input": "bert.encoder.layer.{}.output.dense",
  },
  "llama": {
    "attention/key/output": "model.layers.{}.self_attn.k_proj",
    "attention/value/output": "model.layers.{}.self_attn.v_proj",
    "mlp/down/input": "model.layers.{}.mlp.down_proj",
  },
}


def base(model: str, seed: int) -> torch.nn.Module:
  """Returns the original with its drawn weights."""
  if model in DECODERS:
    return make_decoders.make(model, seed)
  if model == "vit":
    from golden import make_vit

    with tempfile.TemporaryDirectory() as folder:
      return make_vit.make_hf("vit_hf", pathlib.Path(folder), seed)
  return make_text.make(model, "classification", seed)


def adapted(case: str, seed: int):
  """Returns the model with its adapter, and {jft's leaf: a view of it}."""
  method, model = CASES[case]
  original = base(model, seed)
  dtype = next(original.parameters()).dtype
  made, parts = _MAKE[method](original, model)
  made = made.to(dtype).eval()
  with torch.no_grad():
    for name, value in side_cases.values(case, seed).items():
      parameter, view = parts[name]
      view(parameter()).copy_(torch.from_numpy(value))
  return made, parts


def record(case: str, seed: int = 0) -> dict[str, np.ndarray]:
  """Returns logits, and a summary of states and of the adapter's gradients."""
  made, parts = adapted(case, seed)
  logits, hidden, mask = forward(case, made, seed)
  cotangent = side_cases.cotangent(logits.detach().numpy(), mask)
  (logits * torch.from_numpy(cotangent)).sum().backward()
  result = {"logits": logits.detach().numpy()}
  if mask is not None:
    result["hidden"] = hidden.detach().numpy() * mask[..., None]
    if logits.ndim == 3:
      result["logits"] = result["logits"] * mask[..., None]
    result["hidden"] = weights.summary("hidden", result["hidden"], 8)
  for name, (parameter, view) in parts.items():
    gradient = view(parameter().grad).numpy()
    result[f"grad/{name}"] = weights.summary(name, gradient)
  return {name: x.astype(np.float32) for name, x in result.items()}


def forward(case: str, made: torch.nn.Module, seed: int):
  """Returns the logits and states of the text, and its mask."""
  method, model = CASES[case]
  arrays, mask = side_cases.inputs(case, seed), None
  if model == "vit":
    images = torch.from_numpy(arrays).permute(0, 3, 1, 2).double()
    given = {"pixel_values": images}
  else:
    mask = arrays["attention_mask"]
    given = {n: torch.from_numpy(x).long() for n, x in arrays.items()}
  if model in DECODERS:
    given["use_cache"] = method == "prefix"  # which is a cache to peft
    if method != "prompt":
      positions = decoder_cases.positions(mask)
      given["position_ids"] = torch.from_numpy(positions)
  if method in ("prefix", "projected") and model in ENCODERS:
    logits, hidden = _prefixed_encoder(made, model, given)
  else:
    found = made(**given, output_hidden_states=True)
    logits, hidden = found.logits, found.hidden_states[-1]
  if method == "prompt":
    hidden = hidden[:, TOKENS:]
    logits = logits[:, TOKENS:] if model in DECODERS else logits
  return logits, hidden, mask


def _prefixed_encoder(made, model, given):
  """What peft 0.21 does, which looks for an argument that transformers 5.24
  has given another name: peft's keys and values, by transformers' cache."""
  mask = given["attention_mask"]
  cache = made.get_prompt(len(mask))
  seen = torch.cat([torch.ones(len(mask), TOKENS), mask], 1)
  least = torch.finfo(torch.float64).min
  seen = (least * (1 - seen.double()))[:, None, None]
  own = made.get_base_model()
  outputs = getattr(own, model)(
    **{**given, "attention_mask": seen.expand(-1, -1, mask.shape[1], -1)},
    cache=cache,
  )
  hidden = outputs.last_hidden_state
  read = outputs.pooler_output if model == "bert" else hidden
  return own.classifier(read), hidden


def continued(case: str, seed: int = 0) -> np.ndarray:
  """Returns the likeliest tokens after a prompt, each by the whole text.

  Not by `generate`: peft 0.21 moves transformers 5.24's positions on twice.
  """
  made, _ = adapted(case, seed)
  method, model = CASES[case]
  ids = decoder_cases.prompts(model, seed)["input_ids"][:1]
  ids = torch.from_numpy(ids).long()
  with torch.no_grad():
    for _ in range(decoder_cases.NEW_TOKENS):
      given = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
      if method == "prefix":
        given["position_ids"] = torch.arange(ids.shape[1])[None]
      logits = made(**given, use_cache=method == "prefix").logits
      ids = torch.cat([ids, logits[:, -1:].argmax(-1)], 1)
  return ids[:, -decoder_cases.NEW_TOKENS :].numpy().astype(np.int32)


def _whole(x):
  return x


def _flat(x):
  return x.view(-1)


def _columns(start, stop):
  return lambda x: x[:, start:stop]


def _transposed(x):
  return x.T


def _ia3(original, model):
  if model == "gpt2":
    return _ia3_gpt2(original)
  targets, inner = _TARGETS[model]
  config = peft.IA3Config(target_modules=targets, feedforward_modules=inner)
  made = peft.get_peft_model(original, config)
  parts = {}
  for i in range(2):
    for name, place in _IA3[model].items():
      layer = made.get_submodule(f"base_model.model.{place.format(i)}")
      parameter = layer.ia3_l["default"]
      leaf = f"block_{i:02d}/{name}/scale"
      parts[leaf] = (lambda p=parameter: p, _flat)
  return made, parts


def _ia3_gpt2(original):
  """GPT-2's queries, keys and values are one kernel, to which peft gives one
  vector; that of its queries stays at 1."""
  config = peft.IA3Config(
    target_modules=["c_attn", "mlp.c_proj"],
    feedforward_modules=["mlp.c_proj"],
    fan_in_fan_out=True,
  )
  made = peft.get_peft_model(original, config)
  parts = {}
  for i in range(2):
    block = made.base_model.model.transformer.h[i]
    joint = block.attn.c_attn.ia3_l["default"]
    inner = block.mlp.c_proj.ia3_l["default"]
    for j, kind in enumerate(("key", "value"), 1):
      rows = slice(24 * j, 24 * (j + 1))
      leaf = f"block_{i:02d}/attention/{kind}/output/scale"
      view = lambda x, rows=rows: x.view(-1)[rows]  # noqa: E731
      parts[leaf] = (lambda p=joint: p, view)
    parts[f"block_{i:02d}/mlp/down/input/scale"] = (lambda p=inner: p, _flat)
  return made, parts


def _task(model):
  return "CAUSAL_LM" if model in DECODERS else "SEQ_CLS"


def _prefix(original, model, **options):
  config = peft.PrefixTuningConfig(
    task_type=_task(model), num_virtual_tokens=TOKENS, **options
  )
  made = peft.get_peft_model(original, config)
  encoder = made.prompt_encoder["default"]
  if options:
    first, second = encoder.transform[0], encoder.transform[2]
    return made, {
      "prefix_embedding": (lambda: encoder.embedding.weight, _whole),
      "prefix_in/kernel": (lambda: first.weight, _transposed),
      "prefix_in/bias": (lambda: first.bias, _whole),
      "prefix_out/kernel": (lambda: second.weight, _transposed),
      "prefix_out/bias": (lambda: second.bias, _whole),
    }
  parts, keys = {}, side_cases.sizes(model)[2]
  for i in range(2):
    for j, kind in enumerate(("key", "value")):
      start = (2 * i + j) * keys
      leaf = f"block_{i:02d}/attention/prefix_{kind}"
      view = _columns(start, start + keys)
      parts[leaf] = (lambda: encoder.embedding.weight, view)
  return made, parts


def _projected(original, model):
  return _prefix(
    original, model, prefix_projection=True, encoder_hidden_size=WIDTH
  )


def _prompt(original, model):
  config = peft.PromptTuningConfig(
    task_type=_task(model), num_virtual_tokens=TOKENS
  )
  made = peft.get_peft_model(original, config)
  encoder = made.prompt_encoder["default"]
  return made, {"embeddings/prompt": (lambda: encoder.embedding.weight, _whole)}


class Narrow(torch.nn.Module):
  """Two layers, and what is between them."""

  def __init__(self, d, activation):
    super().__init__()
    self.down = torch.nn.Linear(d, WIDTH)
    self.up = torch.nn.Linear(WIDTH, d)
    self.activation = activation

  def forward(self, x):
    return self.up(self.activation(self.down(x)))


def _branches(original, model):
  """Returns {branch: (what it reads, what it gives)} of both blocks."""
  if model == "llama":
    return [
      {
        "attention": (layer.self_attn, layer.self_attn),
        "mlp": (layer.mlp, layer.mlp),
      }
      for layer in original.model.layers
    ]
  if model == "vit":
    found = [m for m in original.modules() if type(m).__name__ == "ViTLayer"]
    return [_vit_branches(layer) for layer in found]
  return [
    {
      "attention": (None, layer.attention.output.dense),
      "mlp": (layer.intermediate, layer.output.dense),
    }
    for layer in original.bert.encoder.layer
  ]


def _vit_branches(layer):
  dense = [m for m in layer.modules() if isinstance(m, torch.nn.Linear)]
  *_, out, _, down = dense
  return {"attention": (None, out), "mlp": (None, down)}


def _houlsby(original, model):
  """Behind the branch's last layer, before dropout, sum and norm."""
  gelu = torch.nn.GELU(approximate="tanh")
  parts = {}
  for i, branches in enumerate(_branches(original, model)):
    for branch, (_, gives) in branches.items():
      own = Narrow(side_cases.sizes(model)[0], gelu)
      original.add_module(f"houlsby_{i}_{branch}", own)

      def hook(module, args, out, own=own):
        if isinstance(out, tuple):
          return (out[0] + own(out[0]), *out[1:])
        return out + own(out)

      gives.register_forward_hook(hook)
      parts |= _narrow_parts(f"block_{i:02d}/{branch}", own)
  return original, parts


def _parallel(original, model):
  """Beside the MLP, four times, on what it reads."""
  parts = {}
  for i, branches in enumerate(_branches(original, model)):
    reads, gives = branches["mlp"]
    own = Narrow(side_cases.sizes(model)[0], torch.relu)
    original.add_module(f"parallel_{i}", own)
    read = []
    reads.register_forward_pre_hook(
      lambda module, args, read=read: read.append(args[0])
    )
    gives.register_forward_hook(
      lambda module, args, out, own=own, read=read: out + 4 * own(read.pop())
    )
    parts |= _narrow_parts(f"block_{i:02d}/mlp", own)
  return original, parts


def _narrow_parts(place, own):
  return {
    f"{place}/bottleneck/down/kernel": (lambda: own.down.weight, _transposed),
    f"{place}/bottleneck/down/bias": (lambda: own.down.bias, _whole),
    f"{place}/bottleneck/up/kernel": (lambda: own.up.weight, _transposed),
    f"{place}/bottleneck/up/bias": (lambda: own.up.bias, _whole),
  }


def _vpt(original, model, deep):
  """Behind the class token; the others' places have no position to change."""
  layers = [m for m in original.modules() if type(m).__name__ == "ViTLayer"]
  parts = {}

  def put(module, args, prompt):
    x = args[0]
    rows = prompt[None].expand(len(x), -1, -1)
    return (torch.cat([x[:, :1], rows, x[:, 1:]], 1), *args[1:])

  def take(module, args, out):
    x = out[0] if isinstance(out, tuple) else out
    x = torch.cat([x[:, :1], x[:, 1 + TOKENS :]], 1)
    return (x, *out[1:]) if isinstance(out, tuple) else x

  for i, layer in enumerate(layers):
    if deep or i == 0:
      prompt = torch.nn.Parameter(torch.zeros(TOKENS, 32))
      original.register_parameter(f"prompt_{i}", prompt)
      name = f"prompt_{i}"
      layer.register_forward_pre_hook(
        lambda module, args, name=name: put(
          module, args, getattr(original, name)
        )
      )
      get = lambda name=name: getattr(original, name)  # noqa: E731
      parts[f"block_{i:02d}/prompt"] = (get, _whole)
    if deep or i == len(layers) - 1:
      layer.register_forward_hook(take)
  return original, parts


_MAKE = {
  "ia3": _ia3,
  "prefix": _prefix,
  "projected": _projected,
  "prompt": _prompt,
  "houlsby": _houlsby,
  "parallel": _parallel,
  "vpt_shallow": lambda original, model: _vpt(original, model, False),
  "vpt_deep": lambda original, model: _vpt(original, model, True),
}


def main() -> None:
  arrays = {"versions": np.array(f"peft {VERSION}")}
  for case, (method, model) in CASES.items():
    arrays |= {f"{case}/{name}": x for name, x in record(case).items()}
    if model in DECODERS and method in ("prefix", "prompt"):
      arrays[f"{case}/continued"] = continued(case)
  path = pathlib.Path(__file__).with_name("side.npz")
  np.savez_compressed(path, **arrays)
  print(path.name, path.stat().st_size)


if __name__ == "__main__":
  main()
