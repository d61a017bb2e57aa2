"""The choice of parts: measured once, then read from the run's record."""

import json

import jax
import numpy as np
import pytest
import tiny

from jft import build, loop, restored, tree
from jft.build.surgical import Choice
from jft.errors import UserError
from jft.insight import costs, inspect, shown
from jft.tuning import depth, surgical

SURGICAL = (
  *("tune.preset=surgical", "tune.blocks=1", "tune.measure_batches=2"),
  *("train.steps=4", "eval.every_steps=2"),
)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
  with pytest.MonkeyPatch.context() as patch:
    tiny.add_preset(patch)
    tiny.draw_nothing(patch)
    yield tiny.write(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module")
def started(source, tmp_path_factory):
  """A run of which two of four steps are done."""
  workdir = tmp_path_factory.mktemp("surgical") / "run"
  loop.fit(tiny.recipe(source, *SURGICAL), workdir, until=2)
  return workdir


@pytest.mark.slow
def test_the_choice_is_on_record_and_is_that_of_the_gradients(source, started):
  facts = json.loads((started / "run.json").read_text())
  choice = Choice.of(facts)
  assert list(choice.ratios) == ["below", "block_00", "block_01"]
  assert choice.parts == surgical.choose(choice.ratios, 1)
  # By hand: the loss of jft's own classification over two batches.
  run = build.build(tiny.recipe(source, *SURGICAL), choice=choice)
  variables, gradients = run.net.variables, []

  def loss(params, batch):
    logits = run.net.apply({**variables, "params": params}, batch["image"])[
      "logits"
    ]
    picked = jax.nn.log_softmax(logits)[np.arange(16), batch["label"]]
    return -picked.mean()

  for step in range(2):
    batch = run.splits.train.batch_at(step)
    gradients.append(jax.grad(loss)(variables["params"], batch))
  want = surgical.ratios(variables["params"], gradients)
  assert choice.ratios == pytest.approx(want, rel=1e-4)
  trained = {
    depth.part(name)
    for name, label in tree.flatten(run.tuning.labels).items()
    if label == "backbone"
  }
  assert trained == set(choice.parts)
  told = "\n".join(run.describe())
  assert f"  * {choice.parts[0]} " in told
  assert "relative gradient norms" in told


@pytest.mark.slow
def test_a_resume_and_the_best_model_measure_nothing(
  source, started, monkeypatch
):
  def forbidden(*args):
    raise AssertionError("measured again")

  monkeypatch.setattr(surgical, "ratios", forbidden)
  _, network, names, state = restored.best_model(started)
  part = json.loads((started / "run.json").read_text())["surgical"]["parts"][0]
  kept = {depth.part(name) for name in tree.flatten(state.params)}
  assert kept == {"head", part}
  assert len(names) == network.spec.num_classes == 10
  summary = loop.fit(tiny.recipe(source, *SURGICAL), started)
  assert (summary["status"], summary["step"]) == ("completed", 4)
  restored.best(started)


def test_inspect_shows_the_choice(source, monkeypatch):
  monkeypatch.setattr(costs, "memory", lambda *args: [])
  monkeypatch.setattr(costs, "forward_flops", lambda *args: 1.0)
  monkeypatch.setattr(costs, "step_flops", lambda *args: 1.0)
  found = inspect.inspect_config(tiny.recipe(source, *SURGICAL), batch_size=2)
  assert found.rates[0].startswith("relative gradient norms")
  console = shown.console()
  with console.capture() as printed:
    console.print(shown.render(found, leaves=False))
  assert "relative gradient norms" in printed.get()
  assert "peak learning rates: backbone 0.02; head 0.02" in printed.get()


def test_too_many_parts_are_refused_before_anything_is_compiled(
  source, monkeypatch
):
  monkeypatch.setattr(jax, "grad", None)
  with pytest.raises(UserError, match=r"tune.blocks=4: the model has 3 parts"):
    build.build(tiny.recipe(source, *SURGICAL, "tune.blocks=4"))


def test_a_head_of_zeros_hides_the_gradients(source):
  with pytest.raises(UserError, match="a head that starts at zero"):
    build.build(tiny.recipe(source, *SURGICAL, "model.head_init=zeros"))
