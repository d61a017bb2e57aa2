"""Adapters that peft has saved; what it computes was recorded."""

import json

import jax
import pytest
import tiny
from golden import peft_cases
from variants import some

import jft
from jft.pretrained.peft import CONFIG


@pytest.fixture(scope="module")
def bases(tmp_path_factory):
  folder = tmp_path_factory.mktemp("bases")
  return {
    name: peft_cases.write_base(folder / name, name)
    for name in ("bert", "llama")
  }


@pytest.mark.parametrize("case", some(peft_cases.CASES, "words", "llama_dora"))
def test_outputs_and_gradients_are_pefts(case, bases, tmp_path):
  record, want = peft_cases.read(case)
  folder = peft_cases.write(tmp_path / "adapter", record)
  net, got = peft_cases.computed(bases[peft_cases.CASES[case][0]], folder)
  peft_cases.assert_close(got, want)
  rows = [row for row in net.report if "adapters" in (row.name or "")]
  assert {row.status for row in rows} == {"loaded"}


def test_the_head_in_modules_to_save_is_the_adapters(bases, tmp_path):
  record, _ = peft_cases.read("lora")
  folder = peft_cases.write(tmp_path / "adapter", record)
  net = jft.adapters.load_peft(jft.load_pretrained(str(bases["bert"])), folder)
  theirs = record["arrays"]["base_model.model.classifier.weight"]
  assert tiny.same_bits({"": net.params["head"]["kernel"]}, {"": theirs.T})


@pytest.mark.parametrize(
  ("change", "message"),
  [
    ({"peft_type": "LOHA"}, "type 'LOHA': jft reads LORA, IA3"),
    ({"peft_type": "PROMPT_TUNING"}, "has no 'prompt_embeddings'"),
    ({"bias": "all"}, "bias='all': jft reads bias='none'"),
    ({"use_qalora": True}, "use_qalora=True, which jft's LoRA does not have"),
    ({"init_lora_weights": "pissa"}, "'pissa' changes the base's weights"),
    ({"use_dora": True}, "lora_magnitude is missing"),
  ],
)
def test_what_jft_does_not_have_is_refused(change, message, bases, tmp_path):
  record, _ = peft_cases.read("rslora")
  folder = peft_cases.write(tmp_path / "adapter", record)
  (folder / CONFIG).write_text(json.dumps(record["config"] | change))
  net = jft.load_pretrained(str(bases["bert"]))
  with pytest.raises(jft.UserError, match=message):
    jft.adapters.load_peft(net, folder)


def test_another_networks_adapter_is_refused(bases, tmp_path):
  record, _ = peft_cases.read("llama")
  folder = peft_cases.write(tmp_path / "adapter", record)
  net = jft.load_pretrained(str(bases["bert"]))
  with pytest.raises(jft.UserError, match="has 0 places in this model"):
    jft.adapters.load_peft(net, folder)
  with pytest.raises(jft.UserError, match=f"has no {CONFIG}"):
    jft.adapters.load_peft(net, tmp_path)


def test_a_head_of_another_size_is_refused(bases, tmp_path):
  record, _ = peft_cases.read("lora")
  folder = peft_cases.write(tmp_path / "adapter", record)
  net = jft.load_pretrained(
    str(bases["bert"]), num_classes=3, key=jax.random.key(0)
  )
  with pytest.raises(jft.UserError, match=r"head/.* give load_pretrained the"):
    jft.adapters.load_peft(net, folder)
