"""An adapter for Hugging Face's peft, beside its unchanged base."""

import functools
import pathlib
import types

import jax
import numpy as np

from jft import adapters, families, tree
from jft.adapters import peft_folder
from jft.errors import UserError
from jft.exports import places, unused, verify
from jft.exports.merged import as_float
from jft.exports.subject import Beside, Subject
from jft.exports.target import Plan, Target
from jft.exports.verify import Compared
from jft.pretrained import peft
from jft.pretrained.formats import safetensors
from jft.tuning import quantized
from jft.tuning.adapters import pissa, prefix
from jft.tuning.adapters.method import ADAPTERS, Method
from jft.tuning.adapters.pissa import PiSSA
from jft.tuning.adapters.prefix import Prefix
from jft.typing import Any, Mapping, Params
from jft.writers import write_json

# What peft calls the use of transformers' models.
_TASKS: Mapping[str, str] = types.MappingProxyType(
  {
    "SequenceClassification": "SEQ_CLS",
    "TokenClassification": "TOKEN_CLS",
    "CausalLM": "CAUSAL_LM",
    "LMHeadModel": "CAUSAL_LM",
  }
)


def plan(subject: Subject) -> Plan:
  """Returns the export of one adapter, with all else that was trained.

  Args:
    subject: with an adapter.

  Raises:
    UserError: if there is none, or peft has no place for it.
  """
  notes, subject = _notes(subject), as_float(subject)
  beside = subject.beside
  if beside is None or len(beside.net.active) != 1:
    raise UserError(
      "--to=peft writes the one adapter of a run, and"
      f" {subject.title} has none; --to=hf writes a whole network."
    )
  method, own = _as_pefts(beside)
  peft_folder.check_words(subject.spec, method, own)
  family, spec = families.FAMILIES[subject.spec.family], subject.spec
  flat = {
    f"params/{name}": np.asarray(x)
    for name, x in tree.flatten(
      adapters.base(subject.variables["params"])
    ).items()
  }
  if family.to_hf is None:
    raise UserError(f"transformers has no {family.name} that jft writes.")
  kept = subject.source_config.get("model_type") or ""
  made = family.to_hf(spec.config, spec.head is not None, kept)
  rest = {k: v for k, v in subject.variables.items() if k != "params"}
  places.check_head(family, spec.config, spec.head)
  dialect = places.dialect_of(
    family, "hf", spec.config, [*flat, *tree.flatten(rest)]
  )
  table = dialect.table(
    spec.config, unused.prefix_hint(made["model_type"], ".")
  )
  model = made["architectures"][0]
  tasks = [task for end, task in _TASKS.items() if model.endswith(end)]
  task = tasks[0] if tasks else None
  trained = set(beside.trained)
  if task in ("SEQ_CLS", "TOKEN_CLS"):
    # For these peft looks for a classifier, whether it was trained or not.
    trained |= {name for name in flat if name.startswith("params/head/")}
  config, arrays = peft.to_peft(method, own, flat, trained, table)
  config["task_type"] = task
  if "token_dim" in config:
    config["num_attention_heads"] = _heads(spec.config, method)
  config["base_model_name_or_path"] = spec.source.removeprefix("hf:")

  def write(folder: pathlib.Path) -> None:
    write_json(folder / peft.CONFIG, config)
    safetensors.write(folder / peft.WEIGHTS, arrays, {"format": "pt"})

  compare = functools.partial(_compare, subject)
  return Plan(write, compare, _opens(subject, model, config), notes)


def _notes(subject: Subject) -> tuple[str, ...]:
  if not quantized.is_quantized(subject.variables["params"]):
    return ()
  return (
    "it was trained beside kernels kept as codes; a base that is loaded whole"
    " gives other numbers, one in NF4 (bitsandbytes, bnb_4bit_quant_type='nf4')"
    " these",
  )


def _as_pefts(beside: Beside) -> tuple[Method, Params]:
  """Returns an adapter of peft's, for the base as its source has it."""
  (name,) = beside.net.active
  method, own = beside.net.methods[name], beside.net.params[ADAPTERS][name]
  if isinstance(method, PiSSA):
    if name not in beside.initial:
      raise UserError(
        "where a PiSSA began is not known of a network in memory, and peft's"
        " LoRA is the difference; export the run."
      )
    return pissa.as_lora(method, beside.initial[name], own)
  if isinstance(method, Prefix):
    return prefix.unprojected(method, own, beside.net.params)
  if not isinstance(method, peft.WRITTEN):
    kinds = ", ".join(kind.__name__ for kind in peft.WRITTEN)
    raise UserError(
      f"--to=peft writes {kinds}; {name!r} is a {type(method).__name__}, which"
      " peft does not have."
    )
  return method, own


def _heads(config: Any, method: Method) -> int:
  """Returns how many heads what peft puts before a text has."""
  usual = config.heads
  return (
    getattr(config, "kv_heads", usual) if isinstance(method, Prefix) else usual
  )


def _compare(subject: Subject, folder: pathlib.Path) -> Compared:
  """Loads the folder beside the base as it was, and runs it."""
  if subject.beside is None:
    raise UserError("there is no adapter.")
  again = peft_folder.load_peft(subject.beside.plain(), folder)
  inputs = verify.inputs_of(subject)
  run = jax.jit(verify.outputs_of(again.apply))
  return verify.outputs(
    subject, inputs, jax.device_get(run(again.variables, inputs))
  )


def _opens(
  subject: Subject, model: str, config: Mapping[str, Any]
) -> tuple[str, ...]:
  count = subject.spec.num_classes
  task = config["task_type"]
  labels = f", num_labels={count}" if count and task != "CAUSAL_LM" else ""
  source = config["base_model_name_or_path"]
  return (
    "import peft, transformers",
    f"base = transformers.{model}.from_pretrained({source!r}{labels})",
    'model = peft.PeftModel.from_pretrained(base, "{}")',
  )


TARGETS: Mapping[str, Target] = types.MappingProxyType(
  {"peft": Target(plan, "an adapter alone, for Hugging Face's peft")}
)
