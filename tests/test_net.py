"""Networks from files: what is loaded, what is drawn, what is refused."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jft import net, tree
from jft.errors import UserError
from jft.pretrained import export
from jft.pretrained.names import resnet as names

# Other streams than the default's, which take long to compile.
KEY = jax.random.key(0, impl="rbg")
IMAGES = np.random.default_rng(0).random((2, 8, 8, 1), np.float32)


@pytest.fixture(autouse=True)
def preset(monkeypatch):
  tiny.add_preset(monkeypatch)


@pytest.fixture
def source(tmp_path):
  return tiny.write(tmp_path)


def load(source, **options):
  return net.load_pretrained(str(source), **options)


def bits(made):
  return {k: np.asarray(v) for k, v in tree.flatten(made.variables).items()}


# --- what is loaded ----------------------------------------------------------


def test_a_folder_or_a_file_with_its_card_needs_no_arch(source):
  made = load(source)
  assert made.report.counts() == {"loaded": 32}
  spec = made.spec
  assert (spec.family, spec.kind, spec.preset) == (
    "resnet",
    "image",
    "resnet_tiny",
  )
  assert (spec.num_classes, spec.image_size) == (10, 8)
  assert (spec.mean, spec.std) == ((0.3,), (0.35,))
  assert spec.label_names[:2] == ("class 0", "class 1")
  assert spec.source == str(source)
  assert len(spec.sha256) == 64


def test_what_is_loaded_goes_out_again_bit_for_bit(source):
  back = export.to_source(bits(load(source)), names.table(tiny.CONFIG))
  assert tiny.same_bits(back, tiny.tensors())


def test_leaves_go_straight_to_their_shards(source):
  mesh = Mesh(np.asarray(jax.devices()).reshape(2, 4), ("data", "tensor"))
  asked = {}

  def sharding(name, shape):
    asked[name] = shape
    rows = shape and shape[-1] % 4 == 0
    axes = (None,) * (len(shape) - 1) + ("tensor",) if rows else ()
    return NamedSharding(mesh, PartitionSpec(*axes))

  made, plain = load(source, sharding=sharding), load(source)
  flat = tree.flatten(made.variables)
  assert asked == {name: leaf.shape for name, leaf in flat.items()}
  kernel = flat["params/block_01/conv1/kernel"]  # 3 3 4 8
  assert kernel.sharding.spec == PartitionSpec(None, None, None, "tensor")
  assert {shard.data.shape for shard in kernel.addressable_shards} == {
    (3, 3, 4, 2)
  }
  assert len(kernel.addressable_shards) == 8
  assert tiny.same_bits(bits(made), bits(plain))
  outputs = [
    net.apply(net.variables, IMAGES)["logits"] for net in (made, plain)
  ]
  np.testing.assert_allclose(*outputs, rtol=1e-5, atol=1e-6)


def test_new_heads_are_sharded_too_and_one_sharding_is_for_all(source):
  whole = NamedSharding(Mesh(np.asarray(jax.devices()), "x"), PartitionSpec())
  made = load(source, num_classes=3, key=KEY, sharding=whole)
  flat = tree.flatten(made.variables)
  assert {leaf.sharding for leaf in flat.values()} == {whole}
  assert made.params["head"]["bias"].shape == (3,)


def test_a_sharding_that_does_not_divide(source):
  mesh = Mesh(np.asarray(jax.devices()), "x")
  with pytest.raises(UserError, match=r"params/.*cannot be laid out"):
    load(source, sharding=NamedSharding(mesh, PartitionSpec("x")))


def test_a_bare_file_needs_its_arch(source):
  source.with_suffix(".json").unlink()
  with pytest.raises(UserError, match=r'say it: arch="resnet34", for example'):
    load(source)
  made = load(source, arch="resnet_tiny")
  assert made.report.counts() == {"loaded": 32}
  assert (made.spec.image_size, made.spec.mean) == (32, (0.5,))


def test_num_classes_none_zero_and_some(source):
  whole, bare = load(source), load(source, num_classes=0)
  fresh = load(source, num_classes=3, key=KEY)
  assert [made.spec.num_classes for made in (whole, bare, fresh)] == [
    10,
    None,
    3,
  ]
  assert bare.report.counts() == {"loaded": 30, "dropped": 2}
  assert fresh.report.counts() == {"loaded": 30, "reinit": 2}
  assert fresh.spec.label_names == bare.spec.label_names == ()
  outputs = [
    made.apply(made.variables, IMAGES) for made in (whole, bare, fresh)
  ]
  assert outputs[0]["logits"].shape == (2, 10)
  assert "logits" not in outputs[1]
  assert outputs[2]["logits"].shape == (2, 3)
  for other in outputs[1:]:
    np.testing.assert_array_equal(outputs[0]["features"], other["features"])


def test_a_given_number_of_classes_is_always_a_new_head(source):
  made = load(source, num_classes=10, key=KEY)
  assert made.report.counts() == {"loaded": 30, "reinit": 2}
  old, new = bits(load(source)), bits(made)
  changed = {name for name in old if not np.array_equal(old[name], new[name])}
  assert changed == {"params/head/bias", "params/head/kernel"}
  again = bits(load(source, num_classes=10, key=KEY))
  assert tiny.same_bits(new, again)
  other = bits(load(source, num_classes=10, key=jax.random.key(1)))
  assert not tiny.same_bits(new, other)


def test_a_new_head_needs_a_key(source):
  with pytest.raises(UserError, match=r"2 leaves are to be initialised .*key="):
    load(source, num_classes=3)


def test_not_pretrained_is_the_same_net_from_scratch(source):
  made = load(source, num_classes=3, key=KEY, pretrained=False)
  assert made.report.counts() == {"reinit": 32}
  scratch = net.init("resnet_tiny", num_classes=3, key=KEY)
  assert tiny.same_bits(bits(made), bits(scratch))
  assert made.spec.mean == (0.3,)  # what it expects stays the source's


def test_computing_in_bfloat16_keeps_the_params(source):
  made = load(source, dtype=jnp.bfloat16)
  assert {x.dtype for x in bits(made).values()} == {np.dtype("float32")}
  exact = load(source)
  a, b = (
    np.asarray(n.apply(n.variables, IMAGES)["logits"], np.float32)
    for n in (made, exact)
  )
  assert not np.array_equal(a, b)
  np.testing.assert_allclose(a, b, atol=0.15)


def test_apply_is_pure_and_gives_collections_where_asked(source):
  made = load(source)
  before = {k: v.copy() for k, v in bits(made).items()}
  outputs, state = made.apply(
    made.variables, IMAGES, train=True, mutable=["batch_stats"]
  )
  assert set(outputs) == {"logits", "features", "hidden"}
  assert set(state) == {"batch_stats"}
  assert tiny.same_bits(before, bits(made))


# --- what is refused ---------------------------------------------------------


def test_another_architecture_than_the_files(source):
  with pytest.raises(
    UserError,
    match=r"another ResNet than .*: stage_sizes=\(1, 1\), .*block",
  ):
    load(source, arch="resnet50")
  with pytest.raises(UserError, match=r"no architecture 'resnet_tiyn'.*_tiny'"):
    load(source, arch="resnet_tiyn")
  with pytest.raises(UserError, match=r"the file is no bert in a layout"):
    load(source, arch="bert_tiny")


@pytest.mark.parametrize(
  ("card", "message"),
  [
    ({"model_type": "t5"}, "is of model type 't5', jft has: resnet, .*bert"),
    ({"family": "resnet"}, "no architecture ''"),
    ({"family": "resnet", "preset": "resnet9"}, "no architecture 'resnet9'"),
    ({"model_type": "bert"}, "the file is no bert in a layout"),
    ({}, "has no config that names its architecture"),
  ],
)
def test_cards_of_other_models(source, card, message):
  source.with_suffix(".json").write_text(json.dumps(card))
  with pytest.raises(UserError, match=message):
    load(source)


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    (
      {"layer1.0.bn1.weight": None},
      r"block_00/norm1/scale \(4,\): the source has no 'layer1.0.bn1.weight'",
    ),
    (
      {"layer1.0.bn1.weight": np.zeros(5, np.float32)},
      r"got shape \(5,\) from 'layer1.0.bn1.weight', expected \(4,\)",
    ),
    (
      {"layer1.0.attention": np.zeros(5, np.float32)},
      r"source 'layer1.0.attention' \(5,\): no variable takes it",
    ),
    (
      {"bn1.bias": np.array([0, np.nan, np.inf, 0], np.float32)},
      r"stem/norm/bias: 2 of 4 values are NaN or infinite in the source",
    ),
    (
      {"bn1.bias": np.zeros(4, np.int32)},
      r"stem/norm/bias: the source holds int32, the model float32",
    ),
    (
      {"layer2.0.conv1.weight": None},
      r"the file holds another ResNet|the file is no ResNet",
    ),
  ],
)
def test_files_that_do_not_fit(tmp_path, changes, message):
  arrays = {**tiny.tensors(), **changes}
  arrays = {name: x for name, x in arrays.items() if x is not None}
  with pytest.raises(UserError, match=message):
    load(tiny.write(tmp_path, arrays))


def test_counters_of_torch_are_dropped(tmp_path):
  counter = {"bn1.num_batches_tracked": np.array(3, np.int64)}
  made = load(tiny.write(tmp_path, {**tiny.tensors(), **counter}))
  assert made.report.counts() == {"loaded": 32, "dropped": 1}
  assert "a counter that PyTorch reads" in str(made.report)


def test_a_file_without_a_head_gives_one_where_asked(tmp_path):
  arrays = {n: x for n, x in tiny.tensors().items() if not n.startswith("fc.")}
  source = tiny.write(tmp_path, arrays)
  assert load(source).spec.num_classes is None
  made = load(source, num_classes=4, key=KEY)
  assert made.report.counts() == {"loaded": 30, "reinit": 2}
  assert load(source, num_classes=0).report.counts() == {"loaded": 30}


@pytest.mark.parametrize("size", [0, 5, 300, -4])
def test_a_truncated_file(source, size):
  source.write_bytes(source.read_bytes()[:size])
  with pytest.raises(UserError, match=r"tiny\.safetensors"):
    load(source)


def test_options_that_a_family_does_not_have(source):
  with pytest.raises(UserError, match=r"resnet has no option 'pooling'"):
    load(source, pooling="mean")
  with pytest.raises(UserError, match=r"option 'dtpye'.*Did you mean 'dtype'"):
    load(source, dtpye=jnp.float32)


def test_no_negative_number_of_classes(source):
  with pytest.raises(UserError, match="num_classes=-1: it must be"):
    load(source, num_classes=-1, key=KEY)
  with pytest.raises(UserError, match="num_classes=-1: it must be"):
    net.init("resnet_tiny", num_classes=-1, key=KEY)


# --- from nothing ------------------------------------------------------------


def test_init():
  made = net.init("resnet_tiny", num_classes=3, key=KEY)
  assert made.report.counts() == {"reinit": 32}
  assert (made.spec.source, made.spec.sha256) == ("", "")
  assert made.apply(made.variables, IMAGES)["logits"].shape == (2, 3)


def test_a_text_model_from_a_folder(tmp_path):
  tiny.write_bert(tmp_path)
  made = load(tmp_path)
  assert (made.spec.family, made.spec.kind) == ("bert", "text")
  assert made.spec.label_names == ("bad", "good")
  assert made.spec.tokenizer == tmp_path / "vocab.txt"
  tokens = {"input_ids": np.ones((2, 4), np.int32)}
  tokens["attention_mask"] = tokens["input_ids"]
  assert made.apply(made.variables, tokens)["logits"].shape == (2, 2)
  mean = load(tmp_path, pooling="mean")
  assert mean.report.counts()["dropped"] == 2  # the pooler
