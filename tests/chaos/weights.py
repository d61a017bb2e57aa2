"""Readers of weights, and of what lies beside them."""

import functools
import io
import json
import pathlib
import zipfile

import numpy as np
from chaos.reader import Reader, saving
from golden.preprocessing_cases import TIMM

from jft import families
from jft.models import bert_config
from jft.pretrained import formats, hf, hub
from jft.pretrained.formats import (
  safetensors,
  torch_pickle,
  torch_values,
)
from jft.pretrained.formats.pickle_machine import Machine
from jft.spec import spec_of

GOLDEN = pathlib.Path(__file__).parent.parent / "golden" / "torch"

# What a pickle is made of, and what it should not be made of.
OPCODES = (
  *(bytes([code]) for code in b"(.01NtldaeusbRQ]})\x81\x85\x86\x87\x93\x94"),
  *(b"q\x00", b"h\x00", b"h\x01", b"K\xff", b"\x8a\x08" + b"\xff" * 8),
  *(b"\x8c\x01a", b"\x8c\x07storage", b"\x80\x02", b"G" + b"\xff" * 8),
  *(b"cposix\nsystem\n", b"cbuiltins\neval\n", b"c__main__\nx\n"),
  *(b"ccollections\nOrderedDict\n", b"ctorch\nSize\n", b"ctorch\nfloat32\n"),
  *(b"ctorch._utils\n_rebuild_tensor_v2\n", b"ctorch\nFloatStorage\n"),
  *(b"cargparse\nNamespace\n", b"ctorch._tensor\n_rebuild_from_type_v2\n"),
)


def read_all(path: pathlib.Path) -> None:
  found = formats.read(path)
  for name in found:
    array = found[name]
    if array.shape != tuple(found.specs[name].shape):
      raise TypeError(f"{name!r}: another shape than its spec")


def with_header(folder: pathlib.Path, header: bytes) -> None:
  path = folder / "x.safetensors"
  path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(22))
  safetensors.read_metadata(path)
  read_all(path)


def headers() -> list[bytes]:
  def row(dtype, shape, begin, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}

  tensors = {"a": row("F32", [2, 2], 0, 16), "b/c": row("BF16", [3], 16, 22)}
  empty = {"e": row("I64", [0, 3], 22, 22)}
  return as_json({"__metadata__": {"format": "pt"}, **tensors, **empty})


def sharded(folder: pathlib.Path) -> None:
  for i in (1, 2):
    safetensors.write(
      folder / f"model-{i}-of-2.safetensors", {f"w{i}": np.ones(3, np.int8)}
    )


def indices() -> list[bytes]:
  where = {f"w{i}": f"model-{i}-of-2.safetensors" for i in (1, 2)}
  return [json.dumps({"metadata": {}, "weight_map": where}).encode()]


def in_zip(folder: pathlib.Path, data: bytes) -> None:
  path = folder / "x.pth"
  with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
    archive.writestr("x/data.pkl", data)
    for name, storage in storages().items():
      archive.writestr(f"x/{name}", storage)
  read_all(path)


@functools.cache
def storages() -> dict[str, bytes]:
  with zipfile.ZipFile(GOLDEN / "zip.pth") as archive:
    names = {name: name.partition("/")[2] for name in archive.namelist()}
    return {
      inside: archive.read(name)
      for name, inside in names.items()
      if inside.startswith("data/")
    }


def goldens(*names: str) -> list[bytes]:
  return [(GOLDEN / name).read_bytes() for name in names]


def pickles() -> list[bytes]:
  found = []
  for name in ("zip.pth", "protocol4.pth", "checkpoint.pth", "newer.pth"):
    with zipfile.ZipFile(GOLDEN / name) as archive:
      (inside,) = (n for n in archive.namelist() if n.endswith("data.pkl"))
      found.append(archive.read(inside))
  return found


def interpret(folder: pathlib.Path, data: bytes) -> None:
  machine = Machine(
    io.BytesIO(data), len(data), torch_values.resolve, torch_values.storage
  )
  torch_pickle.unwrap(machine.run())


BERT = {
  "model_type": "bert",
  "architectures": ["BertModel"],
  "vocab_size": 20,
  "hidden_size": 8,
  "num_hidden_layers": 1,
  "num_attention_heads": 2,
  "intermediate_size": 16,
  "max_position_embeddings": 64,
  "type_vocab_size": 2,
  "hidden_act": "gelu",
  "layer_norm_eps": 1e-12,
  "hidden_dropout_prob": 0.1,
  "attention_probs_dropout_prob": 0.1,
  "classifier_dropout": None,
  "initializer_range": 0.02,
  "position_embedding_type": "absolute",
  "is_decoder": False,
  "pruned_heads": {},
  "id2label": {"0": "bad", "1": "good"},
}
CARD = {
  "family": "resnet",
  "preset": "resnet14_small",
  "image_size": 28,
  "mean": [0.3],
  "std": [0.35],
  "resize": "bicubic",
  "crop_pct": 0.9,
  "squeeze": True,
  "label_names": ["a", "b"],
  "sha256": "0" * 64,
}


PROCESSOR = {
  "image_processor_type": "DeiTImageProcessor",
  "do_resize": True,
  "size": {"height": 256, "width": 256},
  "do_center_crop": True,
  "crop_size": 224,
  "resample": 3,
  "do_rescale": True,
  "rescale_factor": 1 / 255,
  "do_normalize": True,
  "image_mean": [0.5, 0.5, 0.5],
  "image_std": [0.5, 0.5, 0.5],
}
CONVNEXT = {
  "feature_extractor_type": "ConvNextFeatureExtractor",
  "size": 224,
  "crop_pct": 0.875,
  "image_mean": 0.5,
  "image_std": [0.5, 0.5, 0.5],
}


def as_json(*values) -> list[bytes]:
  return [json.dumps(value).encode() for value in values]


def describe(source: pathlib.Path) -> None:
  """Everything that a config or a card says, as the loader asks for it."""
  located = hub.locate(source)
  if (found := families.recognise(located.config)) is not None:
    family, config = found
    dialect = family.dialects[0]
    spec = spec_of(located, family, dialect, config, 2, fresh_head=False)
    hash(spec.config)


def describe_images(path: pathlib.Path) -> None:
  describe(path.parent)


def a_resnet(folder: pathlib.Path) -> None:
  one_file(folder)
  (folder / "config.json").write_text('{"architecture": "resnet18"}')


def one_file(folder: pathlib.Path) -> None:
  safetensors.write(folder / "model.safetensors", {"w": np.ones(3, np.int8)})


SOURCES = (
  *("jft:resnet14_mnist", "package:jax/numpy", "package:a-b", "~/x"),
  *("hf:org/name@main/model.bin", "folder/model.pth", "a:b@c", "tfds:x/y"),
)


def locate(folder: pathlib.Path, data: bytes) -> None:
  source = data.decode("utf-8", "surrogateescape")
  if source.startswith("hf:"):  # The rest of it goes to the network.
    hf.parse(source, source[3:])
  else:
    hub.locate(source)


READERS = (
  Reader(
    "safetensors",
    lambda: [*goldens("half.safetensors"), _whole()],
    saving("x.safetensors", read_all),
    inputs=8000,
  ),
  Reader("safetensors: header", headers, with_header, "json", inputs=8000),
  Reader(
    "index of shards",
    indices,
    saving("model.safetensors.index.json", read_all),
    "json",
    inputs=4000,
    prepare=sharded,
  ),
  Reader(
    "torch zip",
    lambda: goldens("zip.pth", "checkpoint.pth", "newer.pth"),
    saving("x.pth", read_all),
    inputs=8000,
  ),
  Reader("torch zip: pickle", pickles, in_zip, "bytes", OPCODES, 5000),
  Reader(
    "torch before 1.6",
    lambda: goldens("legacy.pth", "checkpoint_legacy.pth"),
    saving("x.pth", read_all),
    "bytes",
    OPCODES,
    8000,
  ),
  Reader("pickle machine", pickles, interpret, "bytes", OPCODES, 10_000),
  Reader(
    "config.json of a folder",
    lambda: as_json(BERT),
    saving("config.json", lambda path: describe(path.parent)),
    "json",
    inputs=5000,
    prepare=one_file,
  ),
  Reader(
    "card of a weights file",
    lambda: as_json(CARD),
    saving("model.json", lambda path: describe(path.with_suffix(WEIGHTS))),
    "json",
    inputs=5000,
    prepare=one_file,
  ),
  Reader(
    "config.json of timm",
    lambda: as_json(
      {**TIMM, "architecture": "resnet18"},
      {**TIMM["pretrained_cfg"], "architecture": "resnet18"},
    ),
    saving("config.json", describe_images),
    "json",
    inputs=5000,
    prepare=one_file,
  ),
  Reader(
    "preprocessor_config.json",
    lambda: as_json(PROCESSOR, CONVNEXT),
    saving("preprocessor_config.json", describe_images),
    "json",
    inputs=5000,
    prepare=a_resnet,
  ),
  Reader(
    "BertConfig.from_hf",
    lambda: as_json(BERT),
    lambda folder, data: bert_config.BertConfig.from_hf(_object(data)),
    "json",
    inputs=5000,
  ),
  Reader(
    "source names",
    lambda: [name.encode() for name in SOURCES],
    locate,
    "text",
    inputs=3000,
  ),
)
WEIGHTS = ".safetensors"


def _whole() -> bytes:
  (header,) = headers()
  return len(header).to_bytes(8, "little") + header + bytes(22)


def _object(data: bytes) -> dict:
  """The dict that a file holds; {} for what the reader before it refuses."""
  try:
    found = json.loads(data)
  except (ValueError, RecursionError):
    return {}
  return found if isinstance(found, dict) else {}
