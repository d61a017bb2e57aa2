"""The Hugging Face Hub: what a name means, and its files in the cache."""

import re
import urllib.parse
from pathlib import Path

from jft.errors import UserError

SMALL = (
  "README.md",
  "config.json",
  "bert_config.json",
  "preprocessor_config.json",
  "tokenizer.json",
  "tokenizer_config.json",
  "special_tokens_map.json",
  "vocab.txt",
  "vocab.json",
  "merges.txt",
  "modules.json",
  "sentence_bert_config.json",
  "*_Pooling/config.json",
)
SAFE = (
  "model.safetensors",
  "model-*-of-*.safetensors",
  "model.safetensors.index.json",
)
# What is asked for where the repository has nothing of what stands before.
OTHERS = (
  (
    "pytorch_model.bin",
    "pytorch_model-*-of-*.bin",
    "pytorch_model.bin.index.json",
  ),
  (
    "flax_model.msgpack",
    "flax_model-*-of-*.msgpack",
    "flax_model.msgpack.index.json",
  ),
  ("tf_model.h5", "model.weights.h5"),
  ("*.ckpt.index", "*.ckpt.data-*-of-*"),
  ("*.npz",),
)

_NAME = re.compile(
  r"(?P<repo>[\w.-]+/[\w.-]+|[\w.-]+(?=@|$))"
  r"(?:@(?P<revision>refs/[^/@]+/[^/@]+|[^/@]+))?"
  r"(?:/(?P<file>.+))?"
)


def parse(source: str, rest: str) -> tuple[str, str | None, str | None]:
  """Returns (repository, revision, file) of `org/name[@revision][/file]`.

  A branch with "/" in its name is written with %2F; `refs/pr/1` needs none.

  Raises:
    UserError: if it is not of that form.

  >>> parse("hf:...", "google/vit@refs/pr/1/pytorch_model.bin")
  ('google/vit', 'refs/pr/1', 'pytorch_model.bin')
  """
  parts = _NAME.fullmatch(rest)
  if parts is None:
    raise UserError(
      f"{source!r}: expected hf:org/name[@revision][/file], such as"
      " 'hf:google/vit-base-patch16-224@main'."
    )
  repo, revision, file = parts["repo"], parts["revision"], parts["file"]
  if file and ".." in file.split("/"):
    raise UserError(f"{source!r}: a file of a repository may not hold '..'.")
  return repo, urllib.parse.unquote(revision) if revision else None, file


def fetch(source: str, rest: str) -> tuple[Path, str | None]:
  """Returns (the repository's folder on disk, the file asked for).

  Downloads what is not in the cache: config, tokenizer and the weights, as
  safetensors where the repository has them, else in the first of `OTHERS` that
  it has. HF_HUB_OFFLINE is honoured.

  Args:
    source: what the user wrote, for messages.
    rest: the part after "hf:".

  Raises:
    UserError: if it is not there or cannot be had, and how to go on.
  """
  repo, revision, file = parse(source, rest)
  if file is None:
    for patterns in (SAFE, *OTHERS):
      folder = _download(source, repo, revision, (*SMALL, *patterns))
      if any(any(folder.glob(p)) for p in ("*.safetensors", *patterns)):
        return folder, None
    raise UserError(
      f"{source!r}: the repository {repo} has no weights that jft reads; it was"
      f" asked for {', '.join(names[0] for names in (SAFE, *OTHERS))}. Name"
      " the file: hf:ORG/NAME/FILE."
    )
  wanted = [file]
  if file.endswith(".index.json"):  # its shards lie beside it
    wanted.append(str(Path(file).parent / "*-of-*"))
  if file.endswith(".ckpt.index"):
    wanted.append(f"{file.removesuffix('.index')}.data-*")
  folder = _download(source, repo, revision, (*SMALL, *wanted))
  if not (folder / file).is_file():
    raise UserError(f"{source!r}: the repository {repo} has no file {file!r}.")
  return folder, file


def _download(
  source: str, repo: str, revision: str | None, patterns: tuple[str, ...]
) -> Path:
  import huggingface_hub as hub
  from huggingface_hub import errors

  instead = (
    ". Or download it elsewhere and give the local folder in place of"
    f" {source!r}."
  )
  try:
    found = hub.snapshot_download(
      repo, revision=revision, allow_patterns=list(patterns)
    )
  except errors.GatedRepoError as error:
    raise UserError(
      f"{repo} is gated: accept its terms on https://huggingface.co/{repo} and"
      f" run `hf auth login`{instead}"
    ) from error
  except errors.RepositoryNotFoundError as error:
    raise UserError(
      f"{repo} is not on the Hugging Face Hub, or private (`hf auth login`)"
      f"{instead}"
    ) from error
  except errors.RevisionNotFoundError as error:
    raise UserError(f"{repo} has no revision {revision!r}{instead}") from error
  except errors.HFValidationError as error:
    raise UserError(f"{source!r}: {error}.") from error
  except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled) as error:
    raise UserError(
      f"{repo} is not in the local cache and the Hugging Face Hub cannot be"
      f" reached (offline, or HF_HUB_OFFLINE is set); go online once{instead}"
    ) from error
  except (
    Exception
  ) as error:  # proxies, TLS, disks: the client has no base class
    raise UserError(
      f"{repo} cannot be downloaded ({type(error).__name__}: {error}){instead}"
    ) from error
  return Path(found)
