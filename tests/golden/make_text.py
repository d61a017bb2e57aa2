"""Makes tests/golden/text_*: what transformers computes and calls things.

  cd tests && python -m golden.make_text

needs torch and transformers (2.13.0 and 5.23.0 when last run). The reference
runs in float64 on float32 weights, so all rounding in a comparison is that of
the code under test.
"""

import contextlib
import hashlib
import json
import pathlib

import numpy as np
import torch
from golden import text_cases, verified, weights

with contextlib.suppress(ImportError):
  # Mends a torchvision without operators, which transformers would trip over.
  from golden import make_resnet  # noqa: F401
import transformers

VERSION = f"{transformers.__version__}, torch {torch.__version__}"


def make(family: str, task: str, seed: int = 0) -> torch.nn.Module:
  """Returns the original of a task with its drawn weights, in float64."""
  title = text_cases.TITLES[family]
  config = getattr(transformers, f"{title}Config")(
    **text_cases.SETTINGS[family], attn_implementation="eager"
  )
  name = title + text_cases.CLASSES[task]
  model = getattr(transformers, name)(config)
  with torch.no_grad():
    for name, parameter in model.named_parameters():  # a tied one comes once
      values = weights.draw(name, tuple(parameter.shape), seed)
      parameter.copy_(torch.from_numpy(values))
  return model.double().eval()


def record(family: str, task: str, seed: int = 0) -> dict[str, np.ndarray]:
  """Returns everything that is compared, by name."""
  model = make(family, task, seed)
  arrays = text_cases.inputs(family, seed)
  tensors = {n: torch.from_numpy(x).long() for n, x in arrays.items()}
  found = model(**tensors, output_hidden_states=True)
  states = found.hidden_states
  outputs = {"logits": found.logits, "hidden": states[-1]}
  loss = sum(
    (outputs[name] * torch.from_numpy(cotangent)).sum()
    for name, cotangent in text_cases.cotangents(family, task, seed).items()
  )
  loss.backward()
  result = {"logits": found.logits.detach().numpy().astype(np.float32)}
  for i, state in enumerate(states[1:]):
    block = weights.summary("block", state.detach().numpy(), 8)
    result[f"block_{i:02d}"] = block
  for name, parameter in model.named_parameters():
    if parameter.grad is not None:  # BERT's pooler has none for masked words
      gradient = weights.summary(name, parameter.grad.numpy())
      result[f"grad/{name}"] = gradient
  return result


def names(family: str, task: str) -> dict[str, list[str]]:
  """Returns the names and shapes of a state dict, and which are copies."""
  model = make(family, task)
  own = {name for name, _ in model.named_parameters()}
  rows = {
    name: f"{name} {tuple(tensor.shape)}"
    for name, tensor in model.state_dict().items()
  }
  return {
    "names": sorted(row for name, row in rows.items() if name in own),
    "copies": sorted(name for name in rows if name not in own),
  }


def preset(name: str) -> dict[str, object]:
  """Returns the parameters of a preset's encoder, and the hash of its names.

  It is the original's bare model, with a pooler where jft's preset has one.
  """
  family = text_cases.family_of(name)
  title = text_cases.TITLES[family]
  title = f"XLM{title}" if name.startswith("xlm") else title
  settings = text_cases.preset_settings(name)
  config = getattr(transformers, f"{title}Config")(**settings)
  pooler = {"add_pooling_layer": False} if family == "roberta" else {}
  with torch.device("meta"):
    model = getattr(transformers, f"{title}Model")(config, **pooler)
  tensors = model.state_dict().items()
  lines = sorted(f"{name} {tuple(tensor.shape)}" for name, tensor in tensors)
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
      what="names, shapes and count of the encoder's parameters",
      params=preset(name)["params"],
    )
  ]


def main() -> None:
  for name in text_cases.PRESETS:
    verified.record(text_cases.family_of(name), rows(name))
  presets = {name: preset(name) for name in text_cases.PRESETS}
  path = pathlib.Path(__file__).with_name("text_presets.json")
  path.write_text(json.dumps(presets, indent=2) + "\n")
  for family in text_cases.SETTINGS:
    arrays = {"versions": np.array(f"transformers {VERSION}")}
    for task in text_cases.CLASSES:
      found = record(family, task)
      found |= {n: np.array(x) for n, x in names(family, task).items()}
      arrays |= {f"{task}/{name}": array for name, array in found.items()}
    path = pathlib.Path(__file__).with_name(f"text_{family}.npz")
    np.savez_compressed(path, **arrays)
    print(path.name, path.stat().st_size)


if __name__ == "__main__":
  main()
