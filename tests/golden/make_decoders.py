"""Makes tests/golden/decoders_*: what transformers computes and calls things.

  cd tests && python -m golden.make_decoders

needs torch and transformers (2.13.0 and 5.23.0 when last run). The reference
runs in float32: in float64 its softmax would still be float32's, and its mask
minus infinity, which makes padding at the left NaN.
"""

import contextlib
import copy
import hashlib
import json
import pathlib

import numpy as np
import torch
from golden import decoder_cases, verified, weights

with contextlib.suppress(ImportError):
  # Mends a torchvision without operators, which transformers would trip over.
  from golden import make_resnet  # noqa: F401
import transformers

VERSION = f"{transformers.__version__}, torch {torch.__version__}"


def config_of(title: str, settings: dict):
  """Returns transformers' config of such settings."""
  name = {"Gemma3": "Gemma3Text"}.get(title, title)
  return getattr(transformers, f"{name}Config")(
    **copy.deepcopy(settings), attn_implementation="eager"
  )


def make(case: str, seed: int = 0) -> torch.nn.Module:
  """Returns the original of a case with its drawn weights."""
  _, name, settings = decoder_cases.CASES[case]
  config = config_of(decoder_cases.title(case), settings)
  model = getattr(transformers, name)(config)
  with torch.no_grad():
    for name, parameter in model.named_parameters():  # a tied one comes once
      values = weights.draw(name, tuple(parameter.shape), seed)
      parameter.copy_(torch.from_numpy(values))
  return model.eval()


def record(case: str, seed: int = 0) -> dict[str, np.ndarray]:
  """Returns everything that is compared, by name; zeros at padding."""
  model = make(case, seed)
  arrays = decoder_cases.inputs(case, seed)
  mask = arrays["attention_mask"]
  tensors = {n: torch.from_numpy(x).long() for n, x in arrays.items()}
  tensors["position_ids"] = torch.from_numpy(decoder_cases.positions(mask))
  found = model(**tensors, output_hidden_states=True, use_cache=False)
  states = found.hidden_states
  outputs = {"logits": found.logits, "hidden": states[-1]}
  loss = sum(
    (outputs[name] * torch.from_numpy(cotangent)).sum()
    for name, cotangent in decoder_cases.cotangents(case, seed).items()
  )
  loss.backward()
  outputs["block_00"] = states[1]  # the last one's norm is in the last
  result = {n: x.detach().numpy() for n, x in outputs.items()}
  for name, array in result.items():
    result[name] = array * (mask[..., None] if array.ndim == 3 else 1)
  for name in ("hidden", "block_00"):
    result[name] = weights.summary(name, result[name], 8)
  for name, parameter in model.named_parameters():
    gradient = weights.summary(name, parameter.grad.numpy())
    result[f"grad/{name}"] = gradient
  return {name: x.astype(np.float32) for name, x in result.items()}


def continued(case: str, seed: int = 0) -> np.ndarray:
  """Returns the tokens that transformers' greedy search goes on with."""
  model = make(case, seed)
  arrays = decoder_cases.prompts(case, seed)
  tensors = {n: torch.from_numpy(x).long() for n, x in arrays.items()}
  model.generation_config.eos_token_id = None
  model.generation_config.bos_token_id = None
  with torch.no_grad():
    found = model.generate(
      **tensors, max_new_tokens=decoder_cases.NEW_TOKENS, do_sample=False
    )
  return found[:, arrays["input_ids"].shape[1] :].numpy().astype(np.int32)


def names(case: str) -> dict[str, list[str]]:
  """Returns the names and shapes of a state dict, and which are copies."""
  model = make(case)
  own = {name for name, _ in model.named_parameters()}
  rows = {
    name: f"{name} {tuple(tensor.shape)}"
    for name, tensor in model.state_dict().items()
  }
  return {
    "names": sorted(row for name, row in rows.items() if name in own),
    "copies": sorted(name for name in rows if name not in own),
  }


def packed(found: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
  """Returns a record with all gradients in one array, by the names' order."""
  of = [str(row).partition(" ")[0] for row in found["names"]]
  grads = np.stack([found[f"grad/{name}"] for name in of])
  kept = {n: x for n, x in found.items() if not n.startswith("grad/")}
  return kept | {"grads": grads}


def preset(name: str) -> dict[str, object]:
  """Returns the parameters of a preset's LM, and the hash of its names."""
  title, settings = decoder_cases.PRESETS[name]
  config = config_of(title, settings)
  head = "LMHeadModel" if title == "GPT2" else "ForCausalLM"
  with torch.device("meta"):
    model = getattr(transformers, f"{title}{head}")(config)
  found = [(n, tuple(p.shape)) for n, p in model.named_parameters()]
  lines = sorted(f"{name} {shape}" for name, shape in found)
  return {
    "params": sum(parameter.numel() for parameter in model.parameters()),
    "sha256": hashlib.sha256("\n".join(lines).encode()).hexdigest(),
  }


def rows(name: str) -> list[dict]:
  """Returns the record that a preset's names, shapes and size are known."""
  return [
    verified.row(
      preset=name,
      layout="hf",
      reference="transformers",
      version=VERSION,
      what="names, shapes and count of the language model's parameters",
      params=preset(name)["params"],
    )
  ]


def main() -> None:
  for name in decoder_cases.PRESETS:
    verified.record(decoder_cases.preset_family(name), rows(name))
  presets = {name: preset(name) for name in decoder_cases.PRESETS}
  path = pathlib.Path(__file__).with_name("decoder_presets.json")
  path.write_text(json.dumps(presets, indent=2) + "\n")
  for family in decoder_cases.FAMILIES:
    arrays = {"versions": np.array(f"transformers {VERSION}")}
    for case in decoder_cases.cases(family):
      found = record(case)
      found |= {n: np.array(x) for n, x in names(case).items()}
      if not decoder_cases.is_classifier(case):
        found["continued"] = continued(case)
      arrays |= {
        f"{case}/{name}": array for name, array in packed(found).items()
      }
    path = pathlib.Path(__file__).with_name(f"decoders_{family}.npz")
    np.savez_compressed(path, **arrays)
    print(path.name, path.stat().st_size)


if __name__ == "__main__":
  main()
