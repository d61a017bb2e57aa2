"""What learned tokens need to know of a model that reads texts."""

from jft.errors import UserError
from jft.tuning.adapters.sites import Site
from jft.typing import Any, Mapping, Params


def check(
  method: str, tokens: int, params: Params, sites: Mapping[str, Site]
) -> None:
  """Raises a UserError unless the network reads texts.

  Args:
    method: its name, for the error.
    tokens: how many it adds.
    params: of the base.
    sites: of the network, see `probe`.
  """
  if tokens < 1:
    raise UserError(f"{method}: tokens={tokens} must be at least 1.")
  if "embeddings/word" not in sites:
    kind = sites[""].kind if "" in sites else "the network"
    raise UserError(
      f"{method} is for models that read texts, which {kind} does not; choose"
      " vpt for a vision transformer, or another adapter, such as lora."
    )


def check_room(method: str, inputs: Any, tokens: int, config: Any) -> None:
  """Raises a UserError where a text leaves no positions for learned tokens.

  Args:
    method: its name, for the error.
    inputs: of the network.
    tokens: learned ones.
    config: of the network, with `max_tokens` positions.
  """
  cache = inputs.get("cache")
  held = inputs["input_ids"] if cache is None else cache["mask"]
  if held.shape[1] + tokens > config.max_tokens:
    raise UserError(
      f"{method}: {held.shape[1]} tokens of text and {tokens} learned ones are"
      f" more than the {config.max_tokens} positions of {config.title}; shorten"
      " the texts (data.max_length)."
    )
