import types

import jax
import numpy as np
import optax
import pytest
import scipy.special

import small
from jft import distill, losses, tasks
from jft.errors import UserError
from jft.state import TrainState
from jft.step import make_train_step
from jft.tuning import freeze

TEACHER = small.net(seed=1)
STUDENT = small.net(dropout=0.2)
TASK = tasks.classification()


def taught(calls=None):
  def teach(variables, inputs, **options):
    if calls is not None:
      calls.append(options)
    return TEACHER.apply(variables, inputs, **options)

  params = {
    **STUDENT.variables["params"],
    "teacher": TEACHER.variables,
    "projection": distill.projection(jax.random.key(0), 16, 16),
  }
  return types.SimpleNamespace(
    apply=distill.taught(STUDENT.apply, teach),
    variables={**STUDENT.variables, "params": params},
  )


def test_a_step_teaches_and_leaves_the_teacher_alone():
  net, rules = taught(), [("teacher/.*", "freeze"), (".*", "head")]
  labels = freeze.label(net.variables["params"], rules)
  task = distill.distilled(TASK, alpha=0.3, feature_weight=0.5)
  tx = optax.sgd(0.1)
  state = TrainState.create(net, labels, tx)
  after, _ = jax.jit(make_train_step(net.apply, task, tx))(state, small.batch())
  same = jax.tree.map(np.array_equal, state.frozen, after.frozen)
  assert all(jax.tree.leaves(same))
  assert set(state.frozen) == {"teacher"}
  moved = jax.tree.map(
    lambda a, b: not np.array_equal(a, b), state.params, after.params
  )
  assert moved["projection"]["kernel"]
  assert moved["head"]["kernel"]


def test_the_loss_by_hand():
  net, batch = taught(), small.batch()
  task = distill.distilled(TASK, alpha=0.3, temperature=4, feature_weight=0.5)
  outputs, _ = net.apply(
    net.variables,
    batch["image"],
    train=True,
    rngs={"dropout": jax.random.key(0)},
    mutable=["batch_stats"],
  )
  told = TEACHER.apply(TEACHER.variables, batch["image"])
  kernel = net.variables["params"]["projection"]["kernel"]
  gap = outputs["features"] @ kernel - told["features"]
  hard = losses.softmax_cross_entropy(outputs["logits"], batch["label"])
  soft = losses.distillation(outputs["logits"], told["logits"], temperature=4)
  want = 0.7 * hard + 0.3 * soft + 0.5 * (gap**2).mean(-1)
  np.testing.assert_allclose(task.minimised(outputs, batch), want, rtol=1e-5)
  np.testing.assert_array_equal(task.loss(outputs, batch), hard)


def test_evaluation_asks_no_teacher():
  calls = []
  net, batch = taught(calls), small.batch()
  plain = STUDENT.apply(STUDENT.variables, batch["image"])
  got = net.apply(net.variables, batch["image"])
  assert got.keys() == plain.keys()
  np.testing.assert_array_equal(got["logits"], plain["logits"])
  assert calls == []
  net.apply(
    net.variables,
    batch["image"],
    train=True,
    rngs={"dropout": jax.random.key(0)},
    mutable=["batch_stats"],
  )
  assert calls == [{"train": False}]


def test_a_teacher_without_a_say():
  with pytest.raises(UserError, match="would have no say"):
    distill.distilled(TASK, alpha=0.0)


def test_tokens_by_hand():
  rng = np.random.default_rng(0)
  drawn = {
    name: rng.normal(size=(2, 3, width)).astype(np.float32)
    for name, width in (
      ("logits", 5),
      ("teacher_logits", 7),  # of which the student's tokenizer has 5
      ("projected_features", 4),
      ("teacher_features", 4),
    )
  }
  batch = {"label": np.array([[1, 2, -1], [4, -1, -1]]), "mask": np.ones(2)}
  task = distill.distilled(
    tasks.causal_lm(), alpha=0.3, temperature=2, feature_weight=0.5
  )
  log_p, log_q = (
    scipy.special.log_softmax(drawn[name][..., :5] / 2, axis=-1)
    for name in ("teacher_logits", "logits")
  )
  soft = 4 * (np.exp(log_p) * (log_p - log_q)).sum(-1)
  gap = drawn["projected_features"] - drawn["teacher_features"]
  each = 0.3 * soft + 0.5 * (gap**2).mean(-1)
  hard = tasks.causal_lm().loss(drawn, batch)
  want = 0.7 * hard + np.array([each[0, :2].mean(), each[1, 0]])
  np.testing.assert_allclose(task.minimised(drawn, batch), want, rtol=1e-5)
