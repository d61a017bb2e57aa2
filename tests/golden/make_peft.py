"""Makes tests/golden/peft.npz: what peft computes beside small networks.

  cd tests && python -m golden.make_peft

needs torch, torchvision, transformers, accelerate and peft.
"""

import contextlib
import json
import pathlib
import tempfile
import warnings

import numpy as np
from golden import make_resnet, peft_cases
from golden.peft_cases import CASES, FILE

from jft import net, tree
from jft.adapters import peft_folder
from jft.pretrained.peft import CONFIG, WEIGHTS, from_peft

make_resnet.import_torchvision()

import peft
import torch
import transformers
from safetensors.torch import load_file

AUTO = {
  "bert": transformers.AutoModelForSequenceClassification,
  "llama": transformers.AutoModelForCausalLM,
}


@contextlib.contextmanager
def quiet():
  """peft warns of the tied words and of the folder without a model card."""
  with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    yield


def load(base, network):
  """Returns transformers' own network."""
  return AUTO[network].from_pretrained(base).eval()


def filled(model, seed=0):
  """Draws all that is trained of an adapter, no half of it 0."""
  generator = torch.Generator().manual_seed(seed)
  with torch.no_grad():
    for name, p in model.named_parameters():
      if p.requires_grad:
        noise = torch.randn(p.shape, generator=generator) * 0.3
        p.copy_(p * (1 + noise) if "magnitude" in name else noise)
  return model


def adapted(base, case, seed=0):
  """Returns peft's model of a case, with everything in it drawn."""
  network, options = CASES[case]
  options = {"lora_dropout": 0.0, **options}
  with quiet():
    model = peft.get_peft_model(load(base, network), peft.LoraConfig(**options))
  return filled(model, seed).eval()


def logits(model):
  """Returns the model's outputs as a tensor with its graph."""
  batch = {k: torch.tensor(v) for k, v in peft_cases.inputs().items()}
  return model(**batch).logits


def record(base, case, seed=0):
  """Returns the adapter as peft saves it, its outputs and its gradients.

  Args:
    base: the folder of the network.
    case: of `CASES`.
    seed: of the adapter.
  """
  model = adapted(base, case, seed)
  out = logits(model)
  (out * torch.tensor(peft_cases.weights(out))).sum().backward()
  with tempfile.TemporaryDirectory() as folder, quiet():
    folder = pathlib.Path(folder)
    model.save_pretrained(folder, save_embedding_layers=False)
    config = json.loads((folder / CONFIG).read_text())
    arrays = {k: x.numpy() for k, x in load_file(folder / WEIGHTS).items()}
  own = {
    name.replace(".default", ""): p.grad.numpy()
    for name, p in model.named_parameters()
    if "lora_" in name
  }
  return {
    "config": config | {"base_model_name_or_path": ""},
    "arrays": arrays,
    "logits": out.detach().numpy(),
    "gradients": own,
  }


def in_jft(found, table):
  """Returns a record's outputs and gradients by jft's names.

  Args:
    found: as `record` returns.
    table: of the network's family.
  """
  made = from_peft(found["config"], found["gradients"], table)
  return {"logits": found["logits"], **tree.flatten(made.tree)}


def main():
  flat = {}
  for case, (network, _) in CASES.items():
    with tempfile.TemporaryDirectory() as folder:
      base = peft_cases.write_base(pathlib.Path(folder) / "base", network)
      found = record(base, case)
      table = peft_folder.table(net.load_pretrained(str(base)).spec)
      want = in_jft(found, table)
    flat[f"{case}|config"] = np.asarray(json.dumps(found["config"]))
    flat |= {f"{case}|arrays|{k}": x for k, x in found["arrays"].items()}
    flat |= {f"{case}|want|{k}": x for k, x in want.items()}
  flat["versions"] = np.asarray(
    json.dumps({m.__name__: m.__version__ for m in (peft, transformers, torch)})
  )
  np.savez_compressed(FILE, **flat)


if __name__ == "__main__":
  main()
