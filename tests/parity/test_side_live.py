"""Adapters beside LoRA against peft and plain torch, computed now."""

import dataclasses

import jax
import numpy as np
import pytest
from golden import side, side_cases
from variants import some

import jft
from jft import tree
from jft.tuning.adapters.method import ADAPTERS

pytest.importorskip("torch")
pytest.importorskip("peft")
make = pytest.importorskip("golden.make_side")

# transformers 5.24 and peft 0.21 do not know each other's newest names.
pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]


@pytest.mark.parametrize("case", side_cases.CASES)
def test_the_goldens_are_the_originals(case):
  golden = side.read(case)
  side.assert_close(make.record(case), side.numbers(golden), 1e-6)
  if "continued" in golden:
    np.testing.assert_array_equal(make.continued(case), golden["continued"])


@pytest.mark.parametrize(
  "case",
  some(
    side_cases.CASES,
    *("houlsby_bert", "parallel_llama", "ia3_llama", "prompt_gpt2"),
    *("prefix_llama", "vpt_deep"),
  ),
)
def test_another_seed(case, tmp_path):
  want = make.record(case, seed=1)
  side.assert_close(side.computed(tmp_path, case, seed=1), want, 1e-4)
  if side_cases.CASES[case][1] in side_cases.DECODERS:
    return  # transformers' softmax is float32's there
  with jax.enable_x64(True):
    exact = side.computed(tmp_path, case, seed=1, dtype=np.float64)
  side.assert_close(exact, want, 1e-6)


# Those that peft has as well, but for GPT-2's joint kernel of keys and values.
PEFTS = tuple(
  case
  for case, (method, model) in side_cases.CASES.items()
  if method in ("ia3", "prefix", "projected", "prompt")
  and (method, model) != ("ia3", "gpt2")
)


@pytest.mark.parametrize(
  "case", some(PEFTS, "ia3_bert", "prefix_llama", "prompt_bert")
)
def test_jft_runs_what_peft_wrote(case, tmp_path):
  made, _ = make.adapted(case, 1)
  made.float().save_pretrained(tmp_path / "adapter")
  net = side.network(tmp_path, case, 1)
  net = jft.adapters.load_peft(net, tmp_path / "adapter")
  outputs = net.apply(net.variables, side_cases.inputs(case, 1))
  want = make.record(case, 1)["logits"]
  side.assert_close(shown(outputs["logits"], case), {"logits": want}, 1e-4)


@pytest.mark.parametrize(
  "case", some(PEFTS, "ia3_llama", "projected_bert", "prompt_gpt2")
)
def test_peft_has_what_jft_wrote(case, tmp_path):
  net = side.network(tmp_path, case, 1)
  method = side.METHODS[side_cases.CASES[case][0]]
  net = jft.adapters.add(net, method, key=jax.random.key(0))
  own = tree.unflatten(side_cases.values(case, 1))
  params = {**net.params, ADAPTERS: {"default": own}}
  variables = {**net.variables, "params": params}
  net = dataclasses.replace(net, variables=variables)
  jft.export(net, "peft", tmp_path / "out")
  base = make.base(side_cases.CASES[case][1], 1).float()
  again = make.peft.PeftModel.from_pretrained(base, str(tmp_path / "out"))
  got, want = (
    make.peft.get_peft_model_state_dict(model.float())
    for model in (again, make.adapted(case, 1)[0])
  )
  heads = ("classifier", "score")
  kept = {name for name in got.keys() | want.keys() if name not in want}
  assert all(any(head in name for head in heads) for name in kept)
  for name, value in want.items():
    np.testing.assert_allclose(
      got[name].detach(), value.detach(), rtol=1e-5, atol=1e-6
    )
  if case.startswith(("prefix", "projected")) and "bert" in case:
    return  # peft 0.21 cannot run them in transformers 5.24's encoders
  with make.torch.no_grad():
    got = make.forward(case, again.double().eval(), 1)[0]
  want = make.forward(case, make.adapted(case, 1)[0], 1)[0]
  np.testing.assert_allclose(got, want.detach(), rtol=1e-4, atol=1e-5)


def test_a_head_of_two_layers_goes_along_whole(tmp_path):
  case = "prompt_roberta"
  net = side.network(tmp_path, case, 1)
  rules = ((r".*/query/kernel", jft.adapters.Rank(2, 4.0)),)
  net = jft.adapters.add(net, jft.adapters.LoRA(rules), key=jax.random.key(0))
  own = jax.tree.map(lambda x: x + 0.1, net.params[ADAPTERS])
  variables = {**net.variables, "params": {**net.params, ADAPTERS: own}}
  net = dataclasses.replace(net, variables=variables)
  jft.export(net, "peft", tmp_path / "out")
  base = make.base("roberta", 1).float()
  with make.torch.no_grad():
    for name, x in base.named_parameters():
      if name.startswith("classifier"):  # as a fresh one would be another
        x.add_(1.0)
  again = make.peft.PeftModel.from_pretrained(base, str(tmp_path / "out"))
  inputs = side_cases.inputs(case, 1)
  asked = {n: make.torch.from_numpy(x).long() for n, x in inputs.items()}
  with make.torch.no_grad():
    theirs = again.eval()(**asked).logits
  ours = net.apply(variables, inputs)["logits"]
  np.testing.assert_allclose(ours, theirs, atol=1e-5)


def shown(logits, case):
  """As make_side.py records them: without those of padding."""
  if logits.ndim == 3:
    mask = side_cases.inputs(case, 1)["attention_mask"]
    logits = logits * mask[..., None]
  return {"logits": np.asarray(logits)}
