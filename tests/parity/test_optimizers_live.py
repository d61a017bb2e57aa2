"""Optimizers, averages and SAM against torch and transformers, run now."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import small
from jft import optim, optimizers, tree
from jft.optimizers import Settings
from jft.state import TrainState
from jft.step import Hooks, make_train_step
from jft.tasks import classification
from jft.tuning import average, freeze

torch = pytest.importorskip("torch")
# Mends a torchvision without operators, which transformers would trip over.
pytest.importorskip("golden.make_resnet")

pytestmark = pytest.mark.parity

LR, DECAY = 0.05, 0.1
DRAW = np.random.default_rng(0)
# Large enough for Adafactor to factor it.
START = DRAW.normal(size=(130, 140)).astype(np.float32)
GOALS = DRAW.normal(size=(4, 130, 140)).astype(np.float32)


def ours(name, decay):
  settings = Settings(weight_decay=decay)
  tx = optimizers.make(name, optax.constant_schedule(LR), settings)
  w = {"kernel": jnp.asarray(START)}
  state, update, path = tx.init(w), jax.jit(tx.update), []
  for goal in GOALS:
    updates, state = update({"kernel": w["kernel"] - goal}, state, w)
    w = optax.apply_updates(w, updates)
    path.append(np.asarray(w["kernel"]))
  return path


def theirs(make):
  w = torch.nn.Parameter(torch.from_numpy(START.copy()))
  optimizer, path = make([w]), []
  for goal in GOALS:
    w.grad = w.detach() - torch.from_numpy(goal)
    optimizer.step()
    path.append(w.detach().numpy().copy())
  return path


def adafactor(params):
  from transformers.optimization import Adafactor

  return Adafactor(
    params,
    lr=LR,
    weight_decay=DECAY,
    scale_parameter=False,
    relative_step=False,
  )


@pytest.mark.parametrize(
  ("name", "decay", "make"),
  [
    ("adamw", DECAY, lambda w: torch.optim.AdamW(w, LR, weight_decay=DECAY)),
    ("adam", 0.0, lambda w: torch.optim.Adam(w, LR)),
    ("sgd", 0.0, lambda w: torch.optim.SGD(w, LR, 0.9, nesterov=True)),
    ("adafactor", DECAY, adafactor),
  ],
)
def test_four_updates(name, decay, make):
  for a, b in zip(ours(name, decay), theirs(make), strict=True):
    np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5)


def test_muons_first_update():
  # torch has no bias correction, which mixes later momenta and gradients in
  # another proportion, and orthogonalises in bfloat16.
  a = ours("muon", DECAY)[0] - START
  b = theirs(lambda w: torch.optim.Muon(w, LR, weight_decay=DECAY))[0] - START
  # torch's kernels lie the other way round, so its factor for wide ones is 1.
  factor = np.sqrt(140 / 130)
  b = (b + LR * DECAY * START) * factor - LR * DECAY * START
  assert np.linalg.norm(a - b) < 0.02 * np.linalg.norm(b)


def averaged(fn, theirs):
  """Follows four weights with both; the first are those at the start."""
  model = torch.nn.Linear(1, 3, bias=False)
  path = DRAW.normal(size=(5, 3)).astype(np.float32)
  mean = None
  for step, w in enumerate(path):
    model.weight.data = torch.from_numpy(w[:, None].copy())
    theirs(step, model)
    now = {"w": jnp.asarray(w)}
    mean = now if mean is None else fn(mean, now, None, step)
  return np.asarray(mean["w"])


def test_ema_is_torchs():
  from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

  model = AveragedModel(
    torch.nn.Linear(1, 3, bias=False), multi_avg_fn=get_ema_multi_avg_fn(0.9)
  )
  # Its first call copies.
  found = averaged(
    average.ema(0.9, warmup=False), lambda _, now: model.update_parameters(now)
  )
  want = model.module.weight.detach().numpy()[:, 0]
  np.testing.assert_allclose(found, want, rtol=1e-6)


def test_swa_is_torchs():
  from torch.optim.swa_utils import AveragedModel

  model = AveragedModel(torch.nn.Linear(1, 3, bias=False))

  def update(step, now):
    if step >= 2:
      model.update_parameters(now)

  found = averaged(average.swa(2), update)
  want = model.module.weight.detach().numpy()[:, 0]
  np.testing.assert_allclose(found, want, rtol=1e-6)


def twin(params):
  """Returns torch's network with these weights, and its leaves' names."""
  made, names = [], []
  sizes = {"stem": (5, 8), "block_00": (8, 16), "block_01": (16, 16)}
  for name, (rows, columns) in (sizes | {"head": (16, 3)}).items():
    dense = f"{name}/fc" if name.startswith("block") else name
    layer = torch.nn.Linear(rows, columns)
    names += [f"{dense}/kernel", f"{dense}/bias"]
    made.append(layer)
    if dense != name:
      # flax's momentum of 0.99; its variance is the biased one.
      made += [torch.nn.BatchNorm1d(columns, momentum=0.01), torch.nn.ReLU()]
      names += [f"{name}/norm/scale", f"{name}/norm/bias"]
  model = torch.nn.Sequential(*made)
  flat = tree.flatten(params)
  for name, leaf in zip(names, model.parameters(), strict=True):
    leaf.data = torch.from_numpy(np.asarray(flat[name]).T.copy())
  return model, names


def sam_in_torch(model, batch, rho):
  """A step as github.com/davda54/sam takes it; statistics of the first pass."""
  image, label = (torch.from_numpy(batch[k]) for k in ("image", "label"))
  image = image.float()

  def gradients():
    model.zero_grad()
    loss = torch.nn.functional.cross_entropy(model(image), label.long())
    loss.backward()
    return [p.grad.clone() for p in model.parameters()]

  def momentum(value):
    for layer in model:
      if isinstance(layer, torch.nn.BatchNorm1d):
        layer.momentum = value

  momentum(0.01)
  grads = gradients()
  norm = torch.stack([g.norm() for g in grads]).norm()
  moves = [g * rho / (norm + 1e-12) for g in grads]
  with torch.no_grad():
    for p, move in zip(model.parameters(), moves, strict=True):
      p.add_(move)
  momentum(0.0)
  uphill = gradients()
  with torch.no_grad():
    for p, move, g in zip(model.parameters(), moves, uphill, strict=True):
      p.sub_(move).sub_(0.1 * g)


def test_sam_with_batch_norm():
  net, rho = small.net(), 0.1
  params = net.variables["params"]
  labels = freeze.label(params, freeze.full(params))
  tx = optim.by_label({k: optax.sgd(0.1) for k in ("head", "backbone")}, labels)
  step = jax.jit(
    make_train_step(net.apply, classification(), tx, hooks=Hooks(sam_rho=rho))
  )
  state, (model, names) = TrainState.create(net, labels, tx), twin(params)
  for i in range(3):
    state, _ = step(state, small.batch(i))
    sam_in_torch(model, small.batch(i), rho)
  flat = tree.flatten(state.params)
  for name, leaf in zip(names, model.parameters(), strict=True):
    want = leaf.detach().numpy().T
    np.testing.assert_allclose(flat[name], want, rtol=1e-4, atol=2e-6)
  norms = [x for x in model if isinstance(x, torch.nn.BatchNorm1d)]
  for i, norm in enumerate(norms):
    found = state.model_state["batch_stats"][f"block_{i:02d}"]["norm"]["mean"]
    want = norm.running_mean.numpy()
    np.testing.assert_allclose(found, want, rtol=1e-4, atol=1e-6)
