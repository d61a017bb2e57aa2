"""A sentence-transformers folder: how it makes one vector of a text."""

import dataclasses
import json
from pathlib import Path
from typing import Any

from jft.errors import UserError

FILE = "modules.json"
STEPS = ("Transformer", "Pooling", "Normalize")
POOLINGS = ("cls", "mean")


@dataclasses.dataclass(frozen=True)
class Sentence:
  """What stands beside the weights of a sentence encoder.

  Attributes:
    pooling: "mean" or "cls", as of a text encoder's config.
    normalize: whether the vectors are scaled to length 1.
  """

  pooling: str
  normalize: bool


def read(folder: Path) -> Sentence | None:
  """Returns how a folder's encoder is used, None if it is no such folder.

  Args:
    folder: with `modules.json`, and what it refers to.

  Raises:
    UserError: if a file is damaged, or a step is none that jft has.

  Source: sentence_transformers.SentenceTransformer, models.Transformer,
    models.Pooling and models.Normalize.
  """
  if not (folder / FILE).is_file():
    return None
  modules = _json(folder / FILE, list)
  steps = [_step(folder, module) for module in modules]
  kinds = tuple(kind for kind, _ in steps)
  if kinds not in (STEPS, STEPS[:2]):
    raise UserError(
      f"{folder / FILE}: jft has the steps {', '.join(STEPS)}, got"
      f" {', '.join(kinds) or 'none'}; to load the encoder alone, say how its"
      ' states are pooled: pooling="mean", for example.'
    )
  pooling = _pooling(folder / steps[1][1] / "config.json")
  return Sentence(pooling, len(kinds) == 3)


def write(used: Sentence, width: int) -> tuple[list[dict[str, Any]], dict]:
  """Returns what stands in `modules.json`, and in the files it refers to.

  Args:
    used: how the encoder is used.
    width: of a token state.

  Returns:
    (the modules, {path: JSON value}).
  """
  package = "sentence_transformers.models"
  paths = ("", "1_Pooling", "2_Normalize")[: 3 if used.normalize else 2]
  modules = [
    {"idx": i, "name": str(i), "path": path, "type": f"{package}.{kind}"}
    for i, (path, kind) in enumerate(zip(paths, STEPS, strict=False))
  ]
  pooling = {
    "word_embedding_dimension": width,
    "pooling_mode_cls_token": used.pooling == "cls",
    "pooling_mode_mean_tokens": used.pooling == "mean",
    "pooling_mode_max_tokens": False,
    "pooling_mode_mean_sqrt_len_tokens": False,
  }
  files: dict[str, Any] = {"1_Pooling/config.json": pooling}
  if used.normalize:
    files["2_Normalize/config.json"] = {}
  return modules, files


def max_tokens(folder: Path) -> int:
  """Returns how long the texts were that a folder's encoder was trained on.

  Args:
    folder: with `sentence_bert_config.json`; without it, 0.

  Raises:
    UserError: if that file is damaged.
  """
  path = folder / "sentence_bert_config.json"
  if not path.is_file():
    return 0
  found = _json(path, dict).get("max_seq_length")
  if found is None:
    return 0
  if type(found) is not int or found < 1:
    raise UserError(f"{path}: max_seq_length must be positive, got {found!r}.")
  return found


def _step(folder: Path, module: Any) -> tuple[str, str]:
  """Returns (kind, path) of a step; the kind is the class, wherever it is."""
  found = module if isinstance(module, dict) else {}
  kind, path = found.get("type"), found.get("path")
  if not isinstance(kind, str) or not isinstance(path, str):
    raise UserError(f"{folder / FILE}: expected steps with a type and a path.")
  if Path(path).is_absolute() or ".." in Path(path).parts:
    raise UserError(f"{folder / FILE}: path {path!r} leads out of the folder.")
  return kind.rpartition(".")[2], path


def _pooling(path: Path) -> str:
  found = _json(path, dict)
  named = found.get("pooling_mode")  # what newer releases write
  chosen = [named] if isinstance(named, str) else named
  if not isinstance(chosen, list):
    chosen = [
      key.removeprefix("pooling_mode_").removesuffix("_tokens")
      for key, value in found.items()
      if key.startswith("pooling_mode_") and value is True
    ]
    chosen = ["cls" if name == "cls_token" else name for name in chosen]
  if len(chosen) != 1 or chosen[0] not in POOLINGS:
    raise UserError(
      f"{path}: jft pools by one of {', '.join(POOLINGS)}, got"
      f" {', '.join(map(str, chosen)) or 'none'}; to load the encoder with"
      ' another, say so: pooling="mean", for example.'
    )
  return chosen[0]


def _json(path: Path, kind: type) -> Any:
  try:
    found = json.loads(path.read_bytes())
  except OSError as error:
    raise UserError(f"cannot read {path}: {error}.") from error
  except (ValueError, RecursionError) as error:
    raise UserError(f"{path} is not JSON: {error}.") from error
  if not isinstance(found, kind):
    raise UserError(f"{path}: expected a JSON {kind.__name__}.")
  return found
