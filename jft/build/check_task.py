"""Contradictions between a task and the data, model and tuning it is given."""

from jft.errors import UserError
from jft.sampling import Sampling
from jft.typing import Any


def check_task(config: Any) -> None:
  """Raises UserError naming the first key that the task cannot have."""
  task, data = config.task, config.data
  if task.name == "similarity" and not data.text_pair_column:
    raise UserError(
      "task.name='similarity' compares two texts: give data.text_pair_column."
    )
  if task.name == "similarity" and config.tune.head_first:
    raise UserError(
      "tune.head_first: task.name='similarity' has no head; set it to 0."
    )
  numbers = task.name in ("regression", "similarity")
  given = task.target_range
  if given and not (
    len(given) == 2
    and all(isinstance(x, int | float) for x in given)
    and given[0] < given[1]
  ):
    raise UserError(f"task.target_range={given}: expected (low, high).")
  if task.name == "token_classification" and data.text_pair_column:
    raise UserError(
      "data.text_pair_column: task.name='token_classification' reads one"
      " sentence at a time; leave it empty."
    )
  if given and not numbers:
    raise UserError(
      f"task.target_range={given} is of numbers; task.name={task.name!r} has"
      " none."
    )
  _check_documents(config)


def _check_documents(config: Any) -> None:
  data, lm = config.data, config.task.name == "causal_lm"
  masked = config.task.name == "masked_lm"
  keys = ("prompt", "response", "messages_column", "separator", "eos_token")
  given = [key for key in (*keys, "system", "packing") if data[key]]
  if masked and given not in ([], ["separator"]):
    raise UserError(
      f"data.{next(k for k in given if k != 'separator')} is of"
      " task.name='causal_lm'; 'masked_lm' reads plain texts."
    )
  if given and not (lm or masked):
    raise UserError(
      f"data.{given[0]} is of documents: it needs task.name='causal_lm'."
    )
  if bool(data.prompt) != bool(data.response):
    raise UserError(
      "data.prompt and data.response belong together: give both or none."
    )
  if data.messages_column and data.response:
    raise UserError(
      "data.messages_column and data.response: a document is a chat or a prompt"
      " with its answer; give one of the two."
    )
  if data.system and not (data.messages_column or data.response):
    raise UserError(
      "data.system begins a chat: give data.messages_column, or data.prompt and"
      " data.response."
    )
  if lm:
    made = config.generate
    Sampling(made.temperature, made.top_k, made.top_p)
  if (lm or masked) and (config.tune.head_first or config.model.head_widths):
    raise UserError(
      f"task.name={config.task.name!r} keeps the model's own head: leave"
      " tune.head_first and model.head_widths alone."
    )
