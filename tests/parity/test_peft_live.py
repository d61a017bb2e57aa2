"""Adapters against peft, computed now: what it wrote, and what jft wrote."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from golden import peft_cases

import jft
from jft import tree
from jft.adapters import peft_folder
from jft.exports import subject as subjects
from jft.exports import writing
from jft.tuning.adapters.method import ADAPTERS

torch = pytest.importorskip("torch")
# It makes torchvision importable, which peft needs.
make_peft = pytest.importorskip("golden.make_peft")
peft = pytest.importorskip("peft")
transformers = pytest.importorskip("transformers")

pytestmark = pytest.mark.parity

QUERY = {"bert": r".*/(query|value)/kernel", "llama": r".*/(key|down)/kernel"}
RANK = jft.adapters.Rank(2, 6.0)


@pytest.fixture(scope="module")
def bases(tmp_path_factory):
  folder = tmp_path_factory.mktemp("bases")
  return {
    name: peft_cases.write_base(folder / name, name)
    for name in ("bert", "llama")
  }


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("case", peft_cases.CASES)
def test_jft_runs_what_peft_wrote(case, seed, bases, tmp_path):
  base = bases[peft_cases.CASES[case][0]]
  found = make_peft.record(base, case, seed)
  folder = peft_cases.write(tmp_path / "adapter", found)
  net, got = peft_cases.computed(base, folder)
  want = make_peft.in_jft(found, peft_folder.table(net.spec))
  peft_cases.assert_close(got, want)
  if seed == 0:
    peft_cases.assert_close(want, peft_cases.read(case)[1])


def drawn(params, seed):
  """Every leaf of a tree drawn, none 0; lengths near what they were."""
  rng = np.random.default_rng(seed)
  return tree.map_with_names(
    lambda name, x: jnp.asarray(
      np.asarray(x) * rng.uniform(0.8, 1.2, x.shape)
      if name.endswith("magnitude")
      else rng.normal(0, 0.3, x.shape),
      jnp.float32,
    ),
    params,
  )


def trained(net, seed=0):
  """The network as if its adapter had been trained."""
  params = {**net.params, ADAPTERS: drawn(net.params[ADAPTERS], seed)}
  return dataclasses.replace(net, variables={**net.variables, "params": params})


def theirs(base, network, folder, **options):
  """What peft computes with a folder that jft wrote."""
  model = make_peft.AUTO[network].from_pretrained(base, **options)
  with make_peft.quiet():
    model = peft.PeftModel.from_pretrained(model, str(folder))
  with torch.no_grad():
    return make_peft.logits(model.eval()).numpy()


def ours(net):
  batch = {k: jnp.asarray(v) for k, v in peft_cases.inputs().items()}
  return np.asarray(jax.jit(net.apply)(net.variables, batch)["logits"])


@pytest.mark.parametrize("network", ["bert", "llama"])
@pytest.mark.parametrize(
  "make",
  [
    lambda rules: jft.adapters.LoRA(rules, dropout=0.1),
    lambda rules: jft.adapters.LoRA(rules, rank_stabilized=True),
    jft.adapters.DoRA,
  ],
)
def test_peft_runs_what_jft_wrote(make, network, bases, tmp_path):
  options = {}
  if network == "bert":  # a new head, which has to go along
    options = {"num_classes": 3, "key": jax.random.key(1)}
  base = bases[network]
  net = jft.load_pretrained(str(base), **options)
  rules = [(r"block_00/attention/out/kernel", jft.adapters.Rank(3, 2.0))]
  rules += [(QUERY[network], RANK)]
  net = jft.adapters.add(net, make(rules), key=jax.random.key(0))
  net = trained(net)
  jft.export(net, "peft", tmp_path / "out")
  labels = {"num_labels": 3, "ignore_mismatched_sizes": True}
  got = theirs(
    base, network, tmp_path / "out", **(labels if network == "bert" else {})
  )
  peft_cases.assert_close({"logits": got}, {"logits": ours(net)})


def test_pissa_starts_as_pefts_and_is_converted(bases, tmp_path):
  base, options = bases["bert"], {"r": 3, "lora_alpha": 6}
  with make_peft.quiet():
    model = peft.get_peft_model(
      make_peft.load(base, "bert"),
      peft.LoraConfig(
        target_modules=["query"], init_lora_weights="pissa", **options
      ),
    )
  layer = model.base_model.model.bert.encoder.layer[0].attention.self.query
  plain = jft.load_pretrained(str(base))
  rules = [(".*/query/kernel", jft.adapters.Rank(3, 6.0))]
  net = jft.adapters.add(
    plain, jft.adapters.PiSSA(rules), key=jax.random.key(0)
  )
  own = net.params[ADAPTERS]["default"]["block_00"]["attention"]["query"]
  product = (layer.lora_B.default.weight @ layer.lora_A.default.weight).T
  np.testing.assert_allclose(
    own["lora_a"] @ own["lora_b"], product.detach(), atol=1e-6
  )
  kernel = net.params["block_00"]["attention"]["query"]["kernel"]
  np.testing.assert_allclose(
    kernel, layer.base_layer.weight.detach().T, atol=1e-6
  )
  after = trained(net)
  beside = subjects.Beside(
    after, net.params[ADAPTERS], lambda: plain, frozenset()
  )
  subject = dataclasses.replace(subjects.of_net(after), beside=beside)
  writing.write(subject, "peft", tmp_path / "out")
  got = theirs(base, "bert", tmp_path / "out")
  peft_cases.assert_close({"logits": got}, {"logits": ours(after)})


@pytest.mark.parametrize("how", ["linear", "cat", "svd"])
def test_weighted_adapters_are_pefts(how, bases):
  network = make_peft.load(bases["bert"], "bert")
  config = {"r": 2, "lora_alpha": 4, "target_modules": ["query"]}
  with make_peft.quiet():
    model = peft.get_peft_model(network, peft.LoraConfig(**config), "one")
    model.add_adapter("two", peft.LoraConfig(**config))
  layer = model.base_model.model.bert.encoder.layer[0].attention.self.query
  net = jft.load_pretrained(str(bases["bert"]))
  method = jft.adapters.LoRA([(".*/query/kernel", jft.adapters.Rank(2, 4.0))])
  for i, name in enumerate(("one", "two")):
    net = jft.adapters.add(net, method, name, key=jax.random.key(i))
  net = trained(net)
  for name in ("one", "two"):
    own = net.params[ADAPTERS][name]["block_00"]["attention"]["query"]
    for half, x in (("lora_A", "lora_a"), ("lora_B", "lora_b")):
      weight = getattr(layer, half)[name].weight
      weight.data = torch.tensor(np.array(own[x]).T.copy())
  weights = {"one": 0.7, "two": -0.4}
  with make_peft.quiet():
    model.add_weighted_adapter(
      [*weights], [*weights.values()], "both", combination_type=how
    )
  net = jft.adapters.weighted(net, weights, "both", how)
  own = net.params[ADAPTERS]["both"]["block_00"]["attention"]["query"]
  np.testing.assert_allclose(
    own["lora_a"] @ own["lora_b"],
    layer.get_delta_weight("both").detach().numpy().T,
    atol=1e-6,
  )


def test_a_convolutions_adapter(tmp_path):
  config = transformers.ResNetConfig(
    embedding_size=8,
    hidden_sizes=[8, 16],
    depths=[1, 1],
    layer_type="basic",
    num_labels=3,
  )
  torch.manual_seed(0)
  model = transformers.ResNetForImageClassification(config).eval()
  model.save_pretrained(tmp_path / "base")
  with make_peft.quiet():
    model = peft.get_peft_model(
      model,
      peft.LoraConfig(r=2, use_dora=True, target_modules=["convolution"]),
    )
    make_peft.filled(model).eval().save_pretrained(tmp_path / "adapter")
  facts = {"image_size": 32, "mean": (0.5,) * 3, "std": (0.5,) * 3}
  net = jft.load_pretrained(str(tmp_path / "base"), **facts)
  net = jft.adapters.load_peft(net, tmp_path / "adapter")
  x = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype(np.float32)
  with torch.no_grad():
    want = model(torch.tensor(x.transpose(0, 3, 1, 2))).logits.numpy()
  got = np.asarray(jax.jit(net.apply)(net.variables, x)["logits"])
  assert np.abs(got - want).max() < 1e-4 * np.abs(want).max()
  merged = jft.adapters.merge(net, x)
  assert merged.difference < 1e-4
