"""What all decoders' `config.json` of transformers say in the same way."""

import reprlib
from typing import Any, Literal

from jft.errors import UserError
from jft.models.decoder_config import FULL, SLIDING, DecoderConfig
from jft.models.hf_fixed import check_fixed
from jft.models.rope import Rope
from jft.models.text_config import check_known
from jft.typing import Mapping

_LAYERS = {"full_attention": FULL, "sliding_attention": SLIDING}
_SCALING = {
  "factor": "factor",
  "original_max_position_embeddings": "original_tokens",
  "low_freq_factor": "low_freq_factor",
  "high_freq_factor": "high_freq_factor",
  "beta_fast": "beta_fast",
  "beta_slow": "beta_slow",
  "attention_factor": "scale",
  "truncate": "truncate",
}
"""{key of rope_parameters: field of Rope}."""
_KEYS = {
  "linear": ("factor",),
  "dynamic": (),
  "llama3": (
    "factor",
    "low_freq_factor",
    "high_freq_factor",
    "original_max_position_embeddings",
  ),
  "yarn": (
    "factor",
    "original_max_position_embeddings",
    "beta_fast",
    "beta_slow",
    "attention_factor",
    "truncate",
  ),
}
"""{kind: what it reads}."""


def check_stated(
  title: str, config: Mapping[str, Any], fixed: Mapping[str, Any]
) -> None:
  """Checks a decoder's fixed settings; in its file null is left out.

  Args:
    title, config, fixed: as of `check_fixed`.

  Raises:
    UserError: naming the key and both values.
  """
  stated = {key: value for key, value in config.items() if value is not None}
  check_fixed(title, stated, fixed)


def task_of(config: Mapping[str, Any]) -> Literal["lm", "classification"]:
  """Returns "classification" if a classifier of texts was saved, else "lm".

  Args:
    config: the parsed file.

  Raises:
    UserError: for a head that jft does not have, naming it.
  """
  saved = config.get("architectures")
  for name in saved if isinstance(saved, list) else ():
    if str(name).endswith("ForSequenceClassification"):
      return "classification"
    if str(name).endswith(("ForTokenClassification", "ForQuestionAnswering")):
      raise UserError(
        f"config.json: architectures is {reprlib.repr(saved)}; jft's decoders"
        " have heads of language models and ForSequenceClassification."
      )
  return "lm"


def class_of(
  title: str, config: DecoderConfig, headed: bool, words: str = "ForCausalLM"
) -> str:
  """Returns transformers' class of a decoder; `task_of` reads its task.

  Args:
    title: how its classes begin.
    config: of the network; headed: whether there is a head, of its task.
    words: how the class that scores words ends.

  >>> class_of("Llama", DecoderConfig(), True)
  'LlamaForCausalLM'
  """
  tasks = {"lm": words, "classification": "ForSequenceClassification"}
  return f"{title}{tasks[config.task] if headed else 'Model'}"


def layer_types(config: Mapping[str, Any]) -> tuple[str, ...] | None:
  """Returns jft's words for the list of layer types, None without one.

  Args:
    config: the parsed file.

  Raises:
    UserError: for a kind of layer that jft does not have.
  """
  found = config.get("layer_types")
  if found is None:
    return None
  if not isinstance(found, list):
    raise UserError(
      f"config.json: layer_types must be a list, got {reprlib.repr(found)}."
    )
  for kind in found:
    check_known("config.json: layer_types", kind, _LAYERS)
  return tuple(_LAYERS[kind] for kind in found)


def layer_types_to_hf(config: DecoderConfig) -> list[str]:
  """Returns the list that `layer_types` reads each block's kind from.

  >>> layer_types_to_hf(DecoderConfig(depth=2, window=8))
  ['sliding_attention', 'sliding_attention']
  """
  words = {ours: theirs for theirs, ours in _LAYERS.items()}
  return [words[kind] for kind in config.kinds]


def rope_of(
  config: Mapping[str, Any], *, theta: float, max_tokens: Any
) -> Rope:
  """Returns the rotary embedding, as transformers 4 or 5 writes it down.

  Args:
    config: the parsed file.
    theta: what the family has where the file does not say.
    max_tokens: of the file.

  Raises:
    UserError: naming the key that jft cannot follow.
  """
  found = config.get("rope_scaling") or config.get("rope_parameters") or {}
  if not isinstance(found, Mapping):
    raise UserError(
      f"config.json: rope_scaling must be a dict, got {reprlib.repr(found)}."
    )
  base = config.get("rope_theta")
  return rope_from(
    found, theta=theta if base is None else base, max_tokens=max_tokens
  )


def rope_from(found: Mapping[str, Any], *, theta: Any, max_tokens: Any) -> Rope:
  """Returns the rotary embedding of one dict of parameters.

  Args:
    found: `rope_parameters`, or the part of it for one kind of layer.
    theta: where they do not say.
    max_tokens: of the file.

  Raises:
    UserError: naming the key that jft cannot follow.
  """
  kind = found.get("rope_type", found.get("type", "default"))
  known = ("default", *_KEYS)
  check_known("config.json: rope_type", kind, known)
  if found.get("partial_rotary_factor") not in (None, 1, 1.0):
    raise UserError(
      "config.json: partial_rotary_factor is"
      f" {found['partial_rotary_factor']!r}, jft rotates all channels."
    )
  base = found.get("rope_theta")
  fields = {"theta": theta if base is None else base, "kind": kind}
  keys = _KEYS.get(kind, ())
  for key in ("mscale", "mscale_all_dim"):
    if kind == "yarn" and found.get(key) is not None:
      raise UserError(f"config.json: jft's yarn does not know {key}.")
  for key in keys:
    if found.get(key) is not None:
      fields[_SCALING[key]] = found[key]
  if kind in ("linear", "yarn", "llama3") and "factor" not in fields:
    raise UserError(f"config.json: rope_type {kind!r} needs a factor.")
  if kind == "llama3" and not set(_KEYS["llama3"][1:3]) <= fields.keys():
    raise UserError(
      "config.json: rope_type 'llama3' needs low_freq_factor and"
      " high_freq_factor."
    )
  if kind in ("dynamic", "yarn", "llama3"):
    fields.setdefault("original_tokens", max_tokens)
  return Rope(**fields)


def rope_to_hf(rope: Rope) -> dict[str, Any]:
  """Returns the `rope_parameters` that `rope_from` reads this from."""
  keys = _KEYS.get(rope.kind, ())
  if rope.kind == "dynamic":
    keys = ("factor",)
  scaling = {key: getattr(rope, _SCALING[key]) for key in keys}
  known = {key: value for key, value in scaling.items() if value is not None}
  return {"rope_type": rope.kind, "rope_theta": rope.theta, **known}
