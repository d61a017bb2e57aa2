"""Adapters trained beside peft's from the same start, update by update."""

import jax
import numpy as np
import optax
import pytest
from golden import peft_cases

import jft
from jft.tuning import freeze

torch = pytest.importorskip("torch")
# It makes torchvision importable, which peft needs.
make_peft = pytest.importorskip("golden.make_peft")
peft = pytest.importorskip("peft")
transformers = pytest.importorskip("transformers")

pytestmark = pytest.mark.parity

UPDATES, RATE, CLIP = 16, 0.03, 1.0
RULES = [(r"block_.*/(query|value|up)/kernel", jft.adapters.Rank(2, 6.0))]
THEIR_NAMES = ["query", "value", "intermediate.dense"]
STILL = {"dropout": 0.0, "attention_dropout": 0.0}
LABELS = np.array([0, 2, 1])


@pytest.fixture(scope="module")
def base(tmp_path_factory):
  return peft_cases.write_base(tmp_path_factory.mktemp("base"), "bert")


def batch():
  rows = {name: np.asarray(x) for name, x in peft_cases.inputs().items()}
  return {**rows, "label": LABELS, "mask": np.ones(3, np.float32)}


def losses_of_jft(net):
  """The losses of the updates of the step that `jft train` runs."""
  labels = freeze.label(net.params, freeze.adapter(net.params))
  adam = optax.adam(RATE)
  tx = jft.optim.by_label(
    {"head": adam, "adapter": adam}, labels, clip_norm=CLIP
  )
  step = jax.jit(jft.make_train_step(net.apply, jft.tasks.classification(), tx))
  state, losses = jft.TrainState.create(net, labels, tx), []
  for _ in range(UPDATES):
    state, metrics = step(state, batch())
    losses.append(float(metrics["loss"]))
  return losses


def losses_of_peft(model):
  rows = {name: torch.tensor(x) for name, x in batch().items()}
  wanted = rows.pop("label")
  del rows["mask"]
  trained = [x for x in model.parameters() if x.requires_grad]
  optimizer = torch.optim.Adam(trained, lr=RATE)
  losses = []
  for _ in range(UPDATES):
    logits = model.eval()(**rows).logits  # without dropout
    loss = torch.nn.functional.cross_entropy(logits, wanted)
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(trained, CLIP)
    optimizer.step()
    losses.append(loss.item())
  return losses


def classifier(base):
  return transformers.AutoModelForSequenceClassification.from_pretrained(
    base, num_labels=3, ignore_mismatched_sizes=True
  )


def start(base, method):
  net = jft.load_pretrained(
    str(base), num_classes=3, key=jax.random.key(1), **STILL
  )
  return jft.adapters.add(net, method, key=jax.random.key(0))


def assert_same(got, want):
  np.testing.assert_allclose(got, want, rtol=2e-4)
  assert want[-1] < 0.95 * want[0]  # it has learnt


@pytest.mark.parametrize(
  "method",
  [
    jft.adapters.LoRA(RULES),
    jft.adapters.LoRA(RULES, rank_stabilized=True),
    jft.adapters.DoRA(RULES),
  ],
)
def test_it_learns_as_pefts_does(method, base, tmp_path):
  net = start(base, method)
  jft.export(net, "peft", tmp_path / "fresh")
  with make_peft.quiet():
    model = peft.PeftModel.from_pretrained(
      classifier(base), str(tmp_path / "fresh"), is_trainable=True
    )
  assert_same(losses_of_jft(net), losses_of_peft(model))


def test_pissa_learns_as_pefts_does(base):
  net = start(base, jft.adapters.PiSSA(RULES))
  config = peft.LoraConfig(
    r=2,
    lora_alpha=6,
    target_modules=THEIR_NAMES,
    modules_to_save=["classifier"],
    init_lora_weights="pissa",
  )
  with make_peft.quiet():
    model = peft.get_peft_model(classifier(base), config)
  head = model.base_model.model.classifier.modules_to_save["default"]
  kernel = np.array(net.params["head"]["kernel"]).T
  with torch.no_grad():
    head.weight.copy_(torch.tensor(kernel))
    head.bias.copy_(torch.tensor(np.array(net.params["head"]["bias"])))
  assert_same(losses_of_jft(net), losses_of_peft(model))
