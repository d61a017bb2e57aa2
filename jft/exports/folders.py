"""Folders of weights: what stands in them, and how they are opened."""

import functools
import pathlib
import types

from jft import families, tree
from jft.exports import companions, layouts, llama2c, tokenizer, verify
from jft.exports.keras_order import in_order
from jft.exports.layouts import Layout
from jft.exports.subject import Subject
from jft.exports.target import Plan, Target
from jft.pretrained.formats import (
  flax_msgpack,
  keras_h5_writer,
  orbax_folder,
  safetensors,
)
from jft.typing import Any, Mapping
from jft.writers import write_json

WEIGHTS = "model.safetensors"
FLAX = "flax_model.msgpack"
MSGPACK = "model.msgpack"
KERAS = "model.h5"
ORBAX = "default"

_OPEN_JFT = ("import jft", 'net = jft.load_pretrained("{}")')


def _hf(subject: Subject) -> Plan:
  layout = layouts.of_hf(subject)

  def write(folder: pathlib.Path) -> None:
    metadata = {"format": "pt"}
    safetensors.write(folder / WEIGHTS, layout.arrays, metadata)
    _write_config(folder, layout)
    _beside_hf(subject, folder)

  return _plan(subject, layout, write, _open_hf(subject, layout.model))


def _beside_hf(subject: Subject, folder: pathlib.Path) -> None:
  tokenizer.write(subject, folder)
  companions.write_sentence(subject, folder)
  companions.write_processor(subject, folder)


def _open_hf(subject: Subject, model: str) -> tuple[str, ...]:
  if companions.is_sentence(subject):
    return (
      "from sentence_transformers import SentenceTransformer",
      'model = SentenceTransformer("{}")',
    )
  task = model.partition("For")[2].removesuffix("WithTeacher")
  if model.endswith("LMHeadModel"):  # GPT-2's name for it
    task = "CausalLM"
  auto = f"AutoModelFor{task}" if task else "AutoModel"
  with_it = "AutoTokenizer"
  if subject.spec.kind == "image":
    with_it = "AutoImageProcessor"
  if model.endswith("WithTeacher"):
    auto = model
  return (
    f"from transformers import {auto}, {with_it}",
    f'model, prepare = ({auto}.from_pretrained("{{}}"),'
    f' {with_it}.from_pretrained("{{}}"))',
  )


def _timm(subject: Subject) -> Plan:
  layout = layouts.of_timm(subject)
  opens = (
    "import timm",
    'model = timm.create_model("local-dir:{}", pretrained=True).eval()',
  )
  return _plan(subject, layout, _torch_writer(layout), opens)


def _torchvision(subject: Subject) -> Plan:
  layout = layouts.of_torchvision(subject)
  count = subject.spec.num_classes
  opens = (
    f"model = torchvision.models.{layout.model}(num_classes={count}).eval()",
    f'model.load_state_dict(safetensors.torch.load_file("{{}}/{WEIGHTS}"))',
  )
  return _plan(subject, layout, _torch_writer(layout), opens)


def _torch_writer(layout: Layout) -> Any:
  def write(folder: pathlib.Path) -> None:
    safetensors.write(folder / WEIGHTS, layout.arrays, {"format": "pt"})
    _write_config(folder, layout)

  return write


def _keras(subject: Subject) -> Plan:
  layout = layouts.of_keras(subject)
  spec = subject.spec
  arrays = in_order(layout.arrays, spec)

  def write(folder: pathlib.Path) -> None:
    keras_h5_writer.write(folder / KERAS, arrays)
    _write_config(folder, layout)

  side = spec.image_size
  alpha = f"alpha={spec.config.width}, " if spec.family == "mobilenetv2" else ""
  opens = (
    f"model = keras.applications.{layout.model}({alpha}weights=None,"
    f" classes={spec.num_classes}, classifier_activation=None,"
    f" input_shape=({side}, {side}, {spec.config.in_channels}))",
    f'model.load_weights("{{}}/{KERAS}")',
  )
  return _plan(subject, layout, write, opens)


def _safetensors(subject: Subject) -> Plan:
  layout = layouts.of_jft(subject)

  def write(folder: pathlib.Path) -> None:
    safetensors.write(folder / WEIGHTS, layout.arrays)
    _beside_jft(subject, layout, folder)

  return _plan(subject, layout, write, _open_jft(subject))


def _msgpack(subject: Subject) -> Plan:
  family = families.FAMILIES.get(subject.spec.family)
  dialects = () if family is None or subject.own else family.dialects
  if any(dialect.name == "flax" for dialect in dialects):
    layout = layouts.of_hf(subject, "flax")

    def write_flax(folder: pathlib.Path) -> None:
      flax_msgpack.write(folder / FLAX, tree.unflatten(dict(layout.arrays)))
      _write_config(folder, layout)
      _beside_hf(subject, folder)

    return _plan(subject, layout, write_flax, _open_jft(subject))
  plain = layouts.of_jft(subject)

  def write(folder: pathlib.Path) -> None:
    flax_msgpack.write(folder / MSGPACK, tree.unflatten(dict(plain.arrays)))
    _beside_jft(subject, plain, folder)

  return _plan(subject, plain, write, _open_jft(subject))


def _orbax(subject: Subject) -> Plan:
  layout = layouts.of_jft(subject)

  def write(folder: pathlib.Path) -> None:
    orbax_folder.write(folder / ORBAX, tree.unflatten(dict(layout.arrays)))
    _beside_jft(subject, layout, folder)

  return _plan(subject, layout, write, _open_jft(subject))


def _beside_jft(subject: Subject, layout: Layout, folder: pathlib.Path) -> None:
  _write_config(folder, layout)
  tokenizer.write(subject, folder)
  companions.write_limit(subject, folder)


def _open_jft(subject: Subject) -> tuple[str, ...]:
  if subject.own is None:
    return _OPEN_JFT
  return "import jft", 'net = jft.load_pretrained("{}", arch=OWN)'


def _write_config(folder: pathlib.Path, layout: Layout) -> None:
  write_json(folder / "config.json", layout.config)


def _plan(
  subject: Subject, layout: Layout, write: Any, opens: tuple[str, ...]
) -> Plan:
  compare = functools.partial(verify.folder, subject)
  return Plan(write, compare, opens, layout.notes)


TARGETS: Mapping[str, Target] = types.MappingProxyType(
  {
    "hf": Target(_hf, "transformers, sentence-transformers"),
    "timm": Target(_timm, "timm"),
    "torchvision": Target(_torchvision, "torchvision's state dict"),
    "keras": Target(_keras, "keras.applications' .h5"),
    "safetensors": Target(_safetensors, "jft's own names, any network"),
    "msgpack": Target(_msgpack, "Flax: transformers 4's names, else jft's"),
    "orbax": Target(_orbax, "an Orbax checkpoint"),
    "llama2c": Target(llama2c.plan, "llama2.c's model.bin"),
  }
)
