"""`jft export`: a run or a source, for another library."""

import argparse
import dataclasses
import json
import pathlib
import re
from typing import Any

HELP = "write a run or a model for another library"
DESCRIPTION = """\
Write a run's best network, or any source, in the layout of another library:
weights, config, class names, preprocessing and tokenizer, so that it opens
there. What is written is read again and has to give the network's own outputs
for real inputs; the folder appears complete or not at all.

  jft export runs/sst2 --to=hf
  jft export runs/pets --to=timm --out=exports/pets
  jft export hf:google/vit-base-patch16-224 --to=stablehlo --json

  hf           transformers, sentence-transformers
  timm         timm
  torchvision  a state dict of torchvision's
  keras        the .h5 of keras.applications
  safetensors  jft's own names: takes any network, `load_pretrained` opens it
  msgpack      Flax: transformers 4's names where it had some, else jft's own
  orbax        an Orbax checkpoint
  peft         the adapter of a run alone (LoRA, IA3, prefix, prompt), for
               peft; all others merge it
  llama2c      the model.bin of llama2.c: Llamas
  stablehlo    one program for CPU, TPU and CUDA, run by jax alone
  onnx         onnxruntime; needs pip install 'jft[onnx]'
  savedmodel   TensorFlow; needs pip install 'jft[savedmodel]'
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Declares the command's arguments."""
  parser.add_argument(
    "subject", metavar="RUN|SOURCE", help="a workdir, or what is loaded from"
  )
  parser.add_argument(
    "--to", required=True, metavar="TARGET", help="one of those above"
  )
  parser.add_argument(
    "--out", metavar="DIR", help="the folder to make (default: NAME-TARGET)"
  )
  parser.add_argument(
    "--arch", metavar="NAME", help="of a source that does not say it"
  )
  parser.add_argument(
    "--overwrite",
    action="store_true",
    help="take the place of an earlier export",
  )


def run(
  args: argparse.Namespace, overrides: list[str], command: tuple[str, ...]
) -> int:
  """Exports; returns the exit code."""
  from jft.exports import writing
  from jft.writers import to_json

  path = pathlib.Path(args.out or f"{_name(args.subject)}-{args.to}")
  writing.check_request(args.to, path, args.overwrite)
  with _opened(args) as subject:
    done = writing.write(subject, args.to, path, overwrite=args.overwrite)
  if args.json:
    print(json.dumps(to_json(dataclasses.asdict(done) | {"path": str(path)})))
  else:
    print(_summary(done))
  return 0


def _opened(args: argparse.Namespace) -> Any:
  """A context with the subject; a run's folder in a store is fetched."""
  import contextlib

  from jft.cli import flags
  from jft.errors import UserError
  from jft.exports import subject
  from jft.store import remote
  from jft.store.opening import read_workdir

  @contextlib.contextmanager
  def opened():
    text = args.subject
    if not (remote.is_url(text) or (pathlib.Path(text) / "run.json").is_file()):
      yield subject.of_source(text, args.arch)
      return
    if args.arch:
      raise UserError("--arch is for a SOURCE; a run says its own.")
    with read_workdir(text) as workdir:
      flags.of_run(workdir)
      yield subject.of_run(workdir, text)

  return opened()


def _name(subject: str) -> str:
  last = re.split(r"[/:]", subject.rstrip("/"))[-1]
  return re.sub(r"[^\w.-]", "-", last).removesuffix(".safetensors") or "export"


def _summary(done: Any) -> str:
  total = sum(done.files.values())
  apart = done.compared.difference
  rows = [
    f"{done.path}: {len(done.files)} files, {_size(total)}",
    *(f"  {name}  {_size(size)}" for name, size in _shown(done.files)),
    f"compared on {done.compared.examples}: outputs differ by"
    f" {f'{apart:.1e} of the largest' if apart else 'nothing'}",
    *(f"note: {note}" for note in done.notes),
    *done.opens,
  ]
  return "\n".join(rows)


def _shown(files: Any) -> list[tuple[str, int]]:
  """The files at the top, and each folder as one."""
  sizes: dict[str, int] = {}
  for name, size in files.items():
    first, slash, _ = name.partition("/")
    sizes[first + slash] = sizes.get(first + slash, 0) + size
  return sorted(sizes.items())


def _size(count: int) -> str:
  for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
    if count >= size:
      return f"{count / size:.1f} {unit}"
  return f"{count} bytes"
