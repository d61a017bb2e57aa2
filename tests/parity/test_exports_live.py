"""Exports, opened by the libraries that they are for."""

import json
import os
import pathlib

os.environ.setdefault("KERAS_BACKEND", "torch")

import exported
import numpy as np
import pytest
import tiny
from golden.token_texts import TEXTS as TEXTS_OF_TOKENIZERS
from variants import some

import jft
from jft import predictions
from jft.cli.main import main
from jft.data import load_tokenizer
from jft.exports.tokenizer import HARD

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
make_resnet = pytest.importorskip("golden.make_resnet")

pytestmark = [
  pytest.mark.parity,
  pytest.mark.filterwarnings("ignore::DeprecationWarning"),
  pytest.mark.filterwarnings("ignore::FutureWarning"),
]

CLOSE = 1e-4


def apart(got, want):
  return float(np.abs(got - want).max() / np.abs(want).max())


def torch_logits(model, images):
  model.eval()
  with torch.no_grad():
    made = model(torch.from_numpy(images.transpose(0, 3, 1, 2).copy()))
  return getattr(made, "logits", made).numpy()


def nothing_missing(model_class, folder):
  model, found = model_class.from_pretrained(
    str(folder), output_loading_info=True
  )
  for key in ("missing_keys", "unexpected_keys", "mismatched_keys"):
    assert not found[key], (key, found[key])
  return model


@pytest.mark.parametrize(
  ("arch", "options"),
  [
    ("resnet18", {}),
    ("resnet50", {"in_channels": 1}),
    ("convnext_atto", {}),
    ("mobilenetv2_035", {"padding": "same", "norm_eps": 1e-3}),
    ("tf_efficientnet_b0", {}),
    (
      "vit_tiny_patch16_224",
      {"depth": 2, "mean": (0.5,) * 3, "std": (0.5,) * 3},
    ),
    ("deit_tiny_distilled_patch16_224", {"depth": 2}),
    (
      "vit_small_patch14_dinov2",
      {"depth": 2, "image_size": 56, "pooling": "cls_mean"},
    ),
    (
      "vit_base_patch32_clip_quickgelu_224",
      {"depth": 2, "width": 64, "heads": 2, "pooling": "mean", "norm": "none"},
    ),
  ],
)
@pytest.mark.slow
def test_images_in_transformers(arch, options, tmp_path):
  net = exported.make(arch, **options)
  done = jft.export(net, "hf", tmp_path / "hf")
  config = json.loads((done.path / "config.json").read_text())
  model = nothing_missing(
    getattr(transformers, config["architectures"][0]), done.path
  )
  x = exported.images(net)
  assert apart(torch_logits(model, x), exported.logits(net, x)) < CLOSE
  assert model.config.id2label == dict(enumerate(exported.LABELS))
  if options.get("in_channels") == 1:
    return
  # The same picture, prepared there and here.
  prepare = transformers.AutoImageProcessor.from_pretrained(
    str(done.path), use_fast=False
  )
  from jft.exports import samples

  picture = samples.generated(net.spec).examples[3]["image"]
  theirs = prepare(picture, return_tensors="np")["pixel_values"]
  ours = samples.inputs(samples.Samples(({"image": picture},), "1"), net.spec)
  np.testing.assert_allclose(
    np.asarray(theirs).transpose(0, 2, 3, 1), ours, atol=2e-2
  )


@pytest.mark.parametrize(
  ("arch", "options"),
  [
    ("resnet18", {}),
    ("resnet26d", {"in_channels": 1}),
    ("densenet121", {}),
    ("convnext_atto", {}),
    ("mobilenetv2_035", {}),
    ("efficientnet_b0", {}),
    ("vit_tiny_patch16_224", {"image_size": 96}),
    ("deit_tiny_distilled_patch16_224", {}),
    ("vgg11_bn", {}),
  ],
)
@pytest.mark.slow
def test_images_in_timm(arch, options, tmp_path):
  timm = pytest.importorskip("timm")
  net = exported.make(arch, **options)
  done = jft.export(net, "timm", tmp_path / "timm")
  model = timm.create_model(f"local-dir:{done.path}", pretrained=True)
  x = exported.images(net)
  assert apart(torch_logits(model, x), exported.logits(net, x)) < CLOSE
  assert model.pretrained_cfg["label_names"] == list(exported.LABELS)
  found = timm.data.resolve_model_data_config(model)
  assert tuple(found["mean"]) == net.spec.mean
  assert tuple(found["input_size"][1:]) == (net.spec.image_size,) * 2


@pytest.mark.parametrize(
  "arch",
  [
    "resnet18",
    "resnext50_32x4d",
    "vgg11",
    "densenet121",
    "convnext_tiny",
    "mobilenetv2_100",
    "efficientnet_b0",
  ],
)
@pytest.mark.slow
def test_images_in_torchvision(arch, tmp_path):
  net = exported.make(arch, dialect="torchvision")
  done = jft.export(net, "torchvision", tmp_path / "tv")
  from safetensors import torch as safetensors_torch

  scope = {
    "torchvision": make_resnet.torchvision,
    "safetensors": type("_", (), {"torch": safetensors_torch}),
  }
  exec("\n".join(done.opens), scope)  # what the user is told to type
  x = exported.images(net)
  assert apart(torch_logits(scope["model"], x), exported.logits(net, x)) < CLOSE


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
  "arch",
  [
    "resnet50",
    "vgg16",
    "densenet121",
    "mobilenetv2_035",
    "efficientnet_b0",
  ],
)
@pytest.mark.slow
def test_images_in_keras(arch, tmp_path):
  keras = pytest.importorskip("keras")
  net = exported.make(arch, dialect="keras")
  done = jft.export(net, "keras", tmp_path / "keras")
  scope = {"keras": keras}
  exec("\n".join(done.opens), scope)
  x = exported.images(net, 1)
  mean, std = np.float32(net.spec.mean), np.float32(net.spec.std)
  raw = (x * std + mean) * np.float32(255)
  if arch.startswith("efficientnet"):
    given = raw  # it normalises inside
  elif arch in ("resnet50", "vgg16"):
    given = x[..., ::-1]  # BGR
  else:
    given = x
  got = scope["model"].predict(np.ascontiguousarray(given), verbose=0)
  assert apart(got, exported.logits(net, x)) < CLOSE


TEXTS = (
  "good film",
  "BAD bad film",
  "film",
  "good bad good bad film film film",
)


WRITERS = {
  "bert": tiny.write_bert,
  "roberta": exported.writer("roberta_base"),
  "distilbert": exported.writer("distilbert_base"),
}


@pytest.mark.parametrize("family", some(WRITERS, "bert"))
def test_a_fine_tuned_run_predicts_the_same_from_raw_text(family, tmp_path):
  workdir = exported.train_text(tmp_path, write=WRITERS[family])
  out = tmp_path / "hf"
  assert main(["export", str(workdir), "--to=hf", f"--out={out}"]) == 0
  tokenizer = transformers.AutoTokenizer.from_pretrained(str(out))
  model = nothing_missing(
    transformers.AutoModelForSequenceClassification, out
  ).eval()
  (tmp_path / "new.txt").write_text("\n".join(TEXTS))
  rows, _ = predictions.predict_files(workdir, [str(tmp_path / "new.txt")])
  # The longest text is cut to the run's 7 tokens there too.
  given = tokenizer(
    list(TEXTS), padding=True, truncation=True, return_tensors="pt"
  )
  assert given["input_ids"].shape == (4, 7)
  given.pop("token_type_ids", None)  # of one text they are 0
  with torch.no_grad():
    shares = model(**given).logits.softmax(-1).numpy()
  for row, theirs in zip(rows, shares, strict=True):
    assert row["label"] == model.config.id2label[int(theirs.argmax())]
    want = [row["probabilities"][model.config.id2label[i]] for i in (0, 1)]
    np.testing.assert_allclose(theirs, want, atol=1e-5)


@pytest.mark.parametrize(
  "arch", some(["bert_tiny", "roberta_base", "distilbert_base"], "roberta_base")
)
def test_every_text_head_in_transformers(arch, tmp_path):
  """Number, labels, tokens and masked words."""
  tokens = {"input_ids": torch.tensor([[5, 6, 7, 2]])}
  tokens["attention_mask"] = torch.ones_like(tokens["input_ids"])
  ours = {name: x.numpy() for name, x in tokens.items()}
  ours["token_type_ids"] = 0 * ours["input_ids"]
  small = {"width": 16, "depth": 2, "heads": 2, "mlp_width": 32}
  small |= {"vocab_size": 40, "max_tokens": 32}
  for task, count in (
    ("classification", 1),
    ("classification", 3),
    ("tokens", 3),
    ("mlm", 40),
  ):
    net = exported.make(arch, num_classes=count, labels=(), task=task, **small)
    folder = tmp_path / f"{task}-{count}"
    done = jft.export(net, "hf", folder)
    config = json.loads((folder / "config.json").read_text())
    name = config["architectures"][0]
    assert name in done.opens[0] or "AutoModelFor" in done.opens[0]
    model = nothing_missing(getattr(transformers, name), folder).eval()
    with torch.no_grad():
      theirs = model(**tokens).logits.numpy()
    want = np.asarray(net.apply(net.variables, ours)["logits"])
    assert apart(theirs, want) < CLOSE, name
    if task != "mlm":
      assert model.config.num_labels == count


GGUF = pathlib.Path(make_resnet.__file__).parent / "gguf" / "llama.gguf"
SOURCES = {
  "a gguf": lambda data: GGUF,
  "llama2.c's .model": lambda data: data / "llama2c-stories260K",
  "llama2.c's .bin": lambda data: data / "llama2c-stories15M",
}


@pytest.mark.parametrize("kind", SOURCES)
def test_a_llama_of_another_project_opens_in_transformers(kind, tmp_path):
  """The same tokens of hard texts, logits, and greedy text."""
  if kind != "a gguf" and "JFT_DATA" not in os.environ:
    pytest.skip("JFT_DATA is not set: llama2.c's published models")
  source = SOURCES[kind](pathlib.Path(os.environ.get("JFT_DATA", "")))
  net = jft.load_pretrained(str(source))
  done = jft.export(net, "hf", tmp_path / "hf")
  tokenizer = transformers.AutoTokenizer.from_pretrained(str(done.path))
  model = nothing_missing(transformers.AutoModelForCausalLM, done.path).eval()
  ours = load_tokenizer(net.spec.tokenizer, net.spec.max_tokens)
  for text in (*HARD, *TEXTS_OF_TOKENIZERS):
    ids = ours.uncut.encode(text).ids
    assert tokenizer(text)["input_ids"] == ids, text
    assert tokenizer.decode(ids, skip_special_tokens=True) == ours.decode(ids)
  prompt = "ab abc" if kind == "a gguf" else "Once upon a time, Tom"
  given = tokenizer(prompt, return_tensors="pt")
  inputs = {name: given[name].numpy() for name in given}
  with torch.no_grad():
    want = model(**given).logits.numpy()
    told = model.generate(**given, max_new_tokens=16, do_sample=False)
  inputs.pop("token_type_ids", None)
  assert apart(exported.logits(net, inputs), want) < CLOSE
  stop = () if ours.eos_id is None else (ours.eos_id,)
  made = jft.generate(net, inputs, max_new_tokens=16, stop=stop)
  count = int(made.lengths[0])
  theirs = told[0, inputs["input_ids"].shape[1] :].tolist()
  assert made.tokens[0, :count].tolist() == theirs
