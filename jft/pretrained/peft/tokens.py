"""Prefix and prompt tuning in peft's layout, there and back.

Source: peft 0.21, `PrefixTuningConfig` and `PromptTuningConfig`, whose vectors
are `prompt_embeddings`: a token's, or its key and value of every block.
"""

import re

import jax.numpy as jnp
import numpy as np

from jft import tree as trees
from jft.errors import UserError
from jft.pretrained.layouts import Entry
from jft.tuning.adapters import prefix
from jft.tuning.adapters.prefix import Prefix
from jft.tuning.adapters.prompt import Prompt
from jft.typing import Any, Mapping, Params

_KEY = "prompt_embeddings"


def owns(key: str) -> bool:
  """Is this the array of the adapter, rather than of the base?"""
  return key == _KEY


def write(
  method: Prefix | Prompt, tree: Params, table: Mapping[str, Entry]
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
  """Returns what the adapter has in its config, and its array.

  Args:
    method, tree: a prefix's own keys and values, without a projection.
    table: of the family.
  """
  blocks = _blocks(table)
  if isinstance(method, Prompt):
    rows, kind = np.asarray(tree["embeddings"]["prompt"]), "PROMPT_TUNING"
    more = {"prompt_tuning_init": "RANDOM", "token_dim": rows.shape[1]}
  else:
    flat = trees.flatten(tree)
    parts = [
      flat[f"{name}/prefix_{part}"] for name in blocks for part in prefix.KINDS
    ]
    rows, kind = np.concatenate(parts, axis=1), "PREFIX_TUNING"
    width = parts[0].shape[1]
    more = {
      "prefix_projection": False,
      "encoder_hidden_size": width,
      "token_dim": width,
    }
  config = {
    "peft_type": kind,
    "num_virtual_tokens": rows.shape[0],
    "num_transformer_submodules": 1,
    "num_layers": len(blocks),
    **more,
  }
  return config, {_KEY: rows}


def read(
  config: Mapping[str, Any],
  arrays: Mapping[str, np.ndarray],
  table: Mapping[str, Entry],
) -> tuple[Prefix | Prompt, Params]:
  """Returns the adapter that a config and its array describe.

  Raises:
    UserError: if the array is missing, or of another number of blocks.
  """
  if _KEY not in arrays:
    raise UserError(f"the adapter has no {_KEY!r}.")
  rows = np.asarray(arrays[_KEY])
  if config["peft_type"] == "PROMPT_TUNING":
    return Prompt(len(rows)), {"embeddings": {"prompt": rows}}
  blocks = _blocks(table)
  if rows.shape[1] % (2 * len(blocks)):
    raise UserError(
      f"the adapter's {_KEY} {list(rows.shape)} are not keys and values of"
      f" {len(blocks)} blocks."
    )
  return Prefix(len(rows)), prefix.of_blocks(jnp.asarray(rows), blocks)


def _blocks(table: Mapping[str, Entry]) -> list[str]:
  """Returns the names of every block's attention, from below."""
  pattern = re.compile(r"params/(block_\d+/attention)/key/kernel")
  found = (pattern.fullmatch(name) for name in table)
  return sorted(match[1] for match in found if match)
