"""Every target there and back; folders complete or not at all; refusals."""

import dataclasses
import json
import os
import pathlib
import subprocess
import sys

import exported
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from variants import some

import jft
from jft import tree
from jft.cli.main import main
from jft.errors import UserError
from jft.exports import places, samples, subject, verify, writing
from jft.models.head import Head


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
  """A BERT of two classes with a tokenizer, from a folder."""
  folder = tmp_path_factory.mktemp("bert")
  tiny.write_bert(folder)
  return jft.load_pretrained(str(folder))


@pytest.fixture(scope="module")
def digits():
  return jft.load_pretrained("jft:resnet14_mnist")


def same(a, b):
  return tiny.same_bits(tree.flatten(a.variables), tree.flatten(b.variables))


# --- there and back ----------------------------------------------------------


@pytest.mark.parametrize("to", ["hf", "safetensors", "msgpack", "orbax"])
def test_a_text_model_comes_back(to, bert, tmp_path):
  done = jft.export(bert, to, tmp_path / "out")
  again = jft.load_pretrained(str(done.path))
  assert same(bert, again)
  assert again.spec.label_names == ("bad", "good")
  assert again.spec.config == bert.spec.config
  assert again.spec.tokenizer.read_bytes() == bert.spec.tokenizer.read_bytes()
  assert done.compared.difference == 0
  assert done.compared.examples == "8 made-up inputs"


@pytest.mark.parametrize("to", ["safetensors", "msgpack", "orbax"])
def test_an_image_model_comes_back(to, digits, tmp_path):
  done = jft.export(digits, to, tmp_path / "out")
  again = jft.load_pretrained(str(done.path))
  assert same(digits, again)
  assert again.spec.label_names == digits.spec.label_names
  for field in ("image_size", "mean", "std", "resize", "crop_pct", "squeeze"):
    assert getattr(again.spec, field) == getattr(digits.spec, field)


@pytest.mark.parametrize(
  ("to", "arch", "dialect"),
  some(
    [
      ("hf", "resnet18", ""),
      ("timm", "resnet18", ""),
      ("torchvision", "resnet18", "torchvision"),
      ("keras", "mobilenetv2_035", "keras"),
    ],
    ("hf", "resnet18", ""),
  ),
)
@pytest.mark.slow
def test_a_published_architecture_comes_back(to, arch, dialect, tmp_path):
  net = exported.make(arch, dialect, image_size=32)
  done = jft.export(net, to, tmp_path / "out")
  again = jft.load_pretrained(str(done.path))
  assert same(net, again)
  assert again.spec.label_names == exported.LABELS
  assert places.differing(net.spec.config, again.spec.config) == []
  assert (again.spec.mean, again.spec.std) == (net.spec.mean, net.spec.std)


def test_flax_has_the_names_that_transformers_had(bert, tmp_path):
  done = jft.export(bert, "msgpack", tmp_path / "out")
  assert set(done.files) == {
    "config.json",
    "export.json",
    "flax_model.msgpack",
    "vocab.txt",
  }
  from flax import serialization

  data = (done.path / "flax_model.msgpack").read_bytes()
  made = serialization.msgpack_restore(data)
  layer = made["bert"]["encoder"]["layer"]["0"]["attention"]["self"]["query"]
  assert layer["kernel"].shape == (8, 8)


@pytest.mark.slow
def test_batchnorm_has_the_counters_that_torch_asks_for(tmp_path):
  net = exported.make("resnet18", "torchvision", image_size=32)
  done = jft.export(net, "torchvision", tmp_path / "out")
  from safetensors.numpy import load_file

  arrays = load_file(done.path / "model.safetensors")
  counters = [n for n in arrays if n.endswith("num_batches_tracked")]
  assert len(arrays) == 122  # as of torchvision's resnet18.state_dict()
  assert len(counters) == 20
  assert arrays[counters[0]].dtype == np.int64


def test_an_own_model_goes_out_and_comes_back(tmp_path):
  class Tiny(nn.Module):
    @nn.compact
    def __call__(self, x, train=False):
      return nn.Dense(2, name="out")(x.mean((1, 2)))

  own = jft.Own(Tiny(), jnp.zeros((1, 4, 4, 3)))
  net = exported.varied(jft.init(own, key=jax.random.key(0)))
  done = jft.export(net, "safetensors", tmp_path / "out")
  assert same(net, jft.load_pretrained(str(done.path), arch=own))
  with pytest.raises(UserError, match="does not know your own model 'Tiny'"):
    jft.export(net, "hf", tmp_path / "hf")


def test_an_mlp_head_keeps_its_activation(digits, tmp_path):
  head = Head(3, (5,), activation="relu")
  net = jft.load_pretrained(
    "jft:resnet14_mnist", num_classes=head, key=jax.random.key(1)
  )
  done = jft.export(exported.varied(net), "safetensors", tmp_path / "out")
  assert jft.load_pretrained(str(done.path)).spec.head == head


def test_some_blocks_come_back(tmp_path):
  net = jft.load_pretrained("jft:resnet14_mnist", keep_blocks=(0, 2, 3, 4))
  assert net.spec.config.stage_sizes == (1, 2, 1)
  done = jft.export(net, "safetensors", tmp_path / "out")
  assert same(net, jft.load_pretrained(str(done.path)))


def test_an_encoder_of_sentences_keeps_its_modules(bert, tmp_path):
  folder = tmp_path / "bert"
  folder.mkdir()
  tiny.write_bert(folder)
  net = jft.load_pretrained(
    str(folder), num_classes=0, pooling="mean", normalize=True
  )
  done = jft.export(net, "hf", tmp_path / "out")
  modules = json.loads((done.path / "modules.json").read_text())
  assert [m["path"] for m in modules] == ["", "1_Pooling", "2_Normalize"]
  again = jft.load_pretrained(str(done.path))
  assert (again.spec.config.pooling, again.spec.config.normalize) == (
    "mean",
    True,
  )
  assert again.spec.max_tokens == 64
  assert "SentenceTransformer" in done.opens[0]


@pytest.mark.slow
def test_what_a_program_needs_is_jax_alone(bert, tmp_path):
  done = jft.export(bert, "stablehlo", tmp_path / "out")
  facts = json.loads((done.path / "model.json").read_text())
  assert facts["platforms"] == ["cpu", "tpu", "cuda"]
  assert facts["inputs"]["input_ids"] == {"shape": ["b", "n"], "dtype": "int32"}
  assert facts["label_names"] == ["bad", "good"]
  code = (
    "import sys, jax, numpy as np\n"
    f"program = jax.export.deserialize(open({str(done.path)!r}"
    " + '/model.stablehlo', 'rb').read())\n"
    "for b, n in ((1, 3), (4, 9)):\n"
    "  ids = np.arange(b * n, dtype=np.int32).reshape(b, n) % 8\n"
    "  one = np.ones_like(ids)\n"
    "  made = program.call({'input_ids': ids, 'attention_mask': one,"
    " 'token_type_ids': 0 * one})\n"
    "  print(np.asarray(made['logits']).ravel().tolist())\n"
    "loaded = {name.split('.')[0] for name in sys.modules}\n"
    "assert not loaded & {'jft', 'flax', 'optax', 'tensorflow'}, loaded\n"
  ).replace("import sys, jax", "import sys, jax, jax.export")
  printed = subprocess.run(
    [sys.executable, "-c", code],
    cwd=tmp_path,
    env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"},
    capture_output=True,
    text=True,
    check=True,
  ).stdout
  for line, (b, n) in zip(printed.splitlines(), ((1, 3), (4, 9)), strict=True):
    ids = np.arange(b * n, dtype=np.int32).reshape(b, n) % 8
    inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
    inputs["token_type_ids"] = 0 * ids
    want = bert.apply(bert.variables, inputs)["logits"]
    np.testing.assert_allclose(json.loads(line), want.ravel(), rtol=1e-4)


@pytest.mark.parametrize(
  ("to", "package", "extra"),
  [("onnx", "jax2onnx", "onnx"), ("savedmodel", "tensorflow", "savedmodel")],
)
def test_extras(to, package, extra, digits, tmp_path, monkeypatch):
  """Without the packages the pip line is told; with them it runs."""
  monkeypatch.setitem(sys.modules, package, None)
  with pytest.raises(UserError, match=rf"pip install 'jft\[{extra}\]'"):
    jft.export(digits, to, tmp_path / "out")
  assert list(tmp_path.iterdir()) == []
  monkeypatch.undo()
  pytest.importorskip(package, reason=f"{package} is the extra jft[{extra}]")
  done = jft.export(digits, to, tmp_path / "out")
  assert done.compared.difference < 1e-4


# --- complete or not at all --------------------------------------------------


def test_an_existing_folder_stays(bert, digits, tmp_path):
  out = tmp_path / "out"
  jft.export(bert, "safetensors", out)
  before = {file.name: file.read_bytes() for file in out.iterdir()}
  with pytest.raises(UserError, match="is there already: give another --out"):
    jft.export(digits, "safetensors", out)
  assert {file.name: file.read_bytes() for file in out.iterdir()} == before
  jft.export(digits, "safetensors", out, overwrite=True)
  assert jft.load_pretrained(str(out)).spec.family == "resnet"
  assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_only_an_export_is_overwritten(bert, tmp_path):
  (tmp_path / "mine.txt").write_text("precious")
  with pytest.raises(UserError, match=r"holds no export\.json, so it is no"):
    jft.export(bert, "hf", tmp_path, overwrite=True)
  assert (tmp_path / "mine.txt").read_text() == "precious"


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_an_interrupted_one_leaves_nothing(error, bert, tmp_path, monkeypatch):
  def fail(*args):
    raise error

  monkeypatch.setattr(verify, "folder", fail)
  with pytest.raises(error):
    jft.export(bert, "hf", tmp_path / "out")
  assert list(tmp_path.iterdir()) == []


def test_a_damaged_file_is_refused(bert, tmp_path, monkeypatch):
  """What is read back has to be what was written."""
  from jft.exports import folders

  real = folders.safetensors.write

  def other(path, arrays, metadata=None):
    made = dict(arrays)
    made["classifier.bias"] = made["classifier.bias"] + 1e-3
    real(path, made, metadata)

  monkeypatch.setattr(folders.safetensors, "write", other)
  with pytest.raises(UserError, match="params/head/bias has other values"):
    jft.export(bert, "hf", tmp_path / "out")
  assert list(tmp_path.iterdir()) == []


def test_other_outputs_are_refused(bert):
  made = subject.of_net(bert)
  inputs = verify.inputs_of(made)
  want, _ = verify.expected(made, inputs)
  with pytest.raises(UserError, match=r"logits differ by .* of the largest"):
    verify.outputs(made, inputs, {"logits": want["logits"] * 1.01})
  nothing = {"logits": want["logits"] * np.nan}
  with pytest.raises(UserError, match="logits differ by nan"):
    verify.outputs(made, inputs, nothing)


def test_other_labels_are_refused(bert, tmp_path):
  done = jft.export(bert, "hf", tmp_path / "out")
  config = json.loads((done.path / "config.json").read_text())
  config["id2label"] = {"0": "good", "1": "bad"}
  (done.path / "config.json").write_text(json.dumps(config))
  with pytest.raises(UserError, match="label_names is"):
    verify.folder(subject.of_net(bert), done.path)


# --- structures that have no place -------------------------------------------


@pytest.mark.parametrize(
  ("to", "arch", "options", "message"),
  [
    ("torchvision", "resnet18", {"in_channels": 1}, "in_channels is 1 and not"),
    ("timm", "resnet18", {"stage_sizes": (1, 2, 2, 2)}, "stage_sizes is"),
    ("hf", "resnet18d", {}, "has no place for stem='deep'"),
    ("keras", "resnet50", {}, "it needs params/stem/conv/bias"),
    ("hf", "vgg11", {}, "transformers has no layout of vgg that jft writes"),
  ],
)
def test_a_structure_without_a_place(to, arch, options, message, tmp_path):
  # Shapes alone are looked at, so no weights need be drawn.
  net = shapes_only(arch, **options)
  with pytest.raises(UserError, match=message):
    jft.export(net, to, tmp_path / "out")
  assert list(tmp_path.iterdir()) == []


def shapes_only(arch, **options):
  made = jax.eval_shape(
    lambda key: jft.init(arch, num_classes=3, key=key, **options).variables,
    jax.random.key(0),
  )
  zeros = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), made)
  small = jft.load_pretrained("jft:resnet14_mnist")
  from jft import families

  family, config = families.preset(arch)
  config = dataclasses.replace(config, **options)
  channels = (0.5,) * getattr(config, "in_channels", 3)
  spec = dataclasses.replace(
    small.spec,
    family=family.name,
    preset=arch,
    config=config,
    num_classes=3,
    head=3,
    label_names=(),
    image_size=32,
    mean=channels,
    std=channels,
  )
  return dataclasses.replace(small, variables=zeros, spec=spec)


def test_a_mean_of_tokens_has_no_place_in_a_classifier(bert, tmp_path):
  net = jft.load_pretrained(
    bert.spec.source, pooling="mean", num_classes=2, key=jax.random.key(0)
  )
  with pytest.raises(UserError, match=r"no place for pooling='mean' \(it has"):
    jft.export(net, "hf", tmp_path / "out")


def test_an_unknown_target(bert, tmp_path):
  with pytest.raises(UserError, match="Did you mean 'keras'"):
    jft.export(bert, "kears", tmp_path / "out")


# --- runs --------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(tmp_path_factory):
  """A workdir of a BERT tuned for two steps, of 7 tokens at most."""
  folder = tmp_path_factory.mktemp("run")
  return exported.train_text(folder)


@pytest.mark.slow
def test_a_run_is_exported_as_it_is(run, tmp_path, capsys):
  out = tmp_path / "out"
  assert main(["export", str(run), "--to=hf", f"--out={out}"]) == 0
  said = capsys.readouterr().out
  assert "compared on 8 examples of the run's val split: outputs differ" in said
  assert said.splitlines()[-2].startswith("from transformers import")
  again = jft.load_pretrained(str(out))
  assert again.spec.label_names == ("bad", "good")
  limit = json.loads((out / "tokenizer_config.json").read_text())
  assert limit["model_max_length"] == 7
  made = subject.of_run(run)
  inputs = samples.inputs(made.samples, made.spec, made.max_length)
  want = made.apply(made.variables, inputs)["logits"]
  got = again.apply(again.variables, inputs)["logits"]
  np.testing.assert_array_equal(got, want)


def test_a_run_whose_data_is_gone(run, tmp_path, monkeypatch):
  def gone(config):
    raise UserError("gone")

  monkeypatch.setattr(samples, "make_sources", gone)
  done = writing.write(subject.of_run(run), "safetensors", tmp_path / "out")
  assert done.compared.examples == "8 made-up inputs"


def test_the_command_says_what_is_wrong(run, tmp_path, capsys):
  assert main(["export", str(run), "--to=timm", f"--out={tmp_path / 'x'}"]) == 2
  assert "timm has no layout of bert" in capsys.readouterr().err
  assert main(["export", str(run), "--to=hf", "--arch=bert_tiny"]) == 2
  assert "--arch is for a SOURCE" in capsys.readouterr().err
  assert not pathlib.Path("workdir-hf").exists()
