"""Prompt tuning: learned word vectors before every text."""

import dataclasses

import jax
import jax.numpy as jnp

from jft.errors import UserError
from jft.tuning.adapters import texts
from jft.tuning.adapters.method import Interceptor, Method
from jft.tuning.adapters.sites import Site
from jft.typing import Any, Array, Int, Key, Mapping, Params, Sequence


@dataclasses.dataclass(frozen=True)
class Prompt(Method):
  """`tokens` learned vectors stand before the words of every text.

  The network runs on the longer text, so its first token, which some encoders
  pool, and its mean are the prompt's too; `hidden` and the `logits` of tokens
  are of the text alone. With a cache the prompt is read where `inputs` have
  "begins": True.

  Attributes:
    tokens: how many.
    start: ids of words whose vectors they start as, repeated where there are
      fewer; empty: words drawn from the whole vocabulary.
    random: start as normal draws instead.

  Source: Lester et al., 2021 (arXiv:2104.08691); peft.PromptTuningConfig.
  """

  tokens: int = 20
  start: Sequence[int] = ()
  random: bool = False

  def init(self, params: Params, key: Key, sites: Mapping[str, Site]) -> Params:
    """Returns a tree of word vectors, or normal draws."""
    texts.check("prompt tuning", self.tokens, params, sites)
    words = params["embeddings"]["word"]["embedding"]
    if self.random:
      made = jax.random.normal(key, (self.tokens, words.shape[1]))
    elif isinstance(words, jax.ShapeDtypeStruct):
      made = jnp.zeros((self.tokens, words.shape[1]))
    else:
      made = words[self._rows(key, words.shape[0])].astype(jnp.float32)
    return {"embeddings": {"prompt": made}}

  def intercept(
    self, tree: Params, *, train: bool, key: Key | None
  ) -> Interceptor:
    """Returns the interceptor that reads the prompt before the text."""
    prompt = tree["embeddings"]["prompt"]
    longer = [False]  # Does the call that is under way read the prompt?

    def prompted(next_fun: Any, args: Any, kwargs: Any, context: Any) -> Any:
      module, name = context.module, context.method_name
      if name != "__call__":
        return next_fun(*args, **kwargs)
      # Blocks that run as one loop have no path either.
      if not module.path and hasattr(module, "config"):
        inputs, longer[0] = self._read(args[0], module.config)
        outputs = next_fun(inputs, *args[1:], **kwargs)
        return self._shortened(outputs, inputs) if longer[0] else outputs
      y = next_fun(*args, **kwargs)
      if longer[0] and module.path == ("embeddings", "word"):
        y = y.at[:, : self.tokens].set(prompt.astype(y.dtype))
      return y

    return prompted

  def merge(self, params: Params, tree: Params) -> Params:
    """Raises a UserError: no weight of the base is the same."""
    raise UserError(
      "prompt tuning adds tokens that no weight of the base can give; it cannot"
      " be merged. Keep it beside the base."
    )

  def _rows(self, key: Key, rows: int) -> Int[Array, "p"]:
    if not self.start:
      return jax.random.randint(key, (self.tokens,), 0, rows)
    if not all(0 <= word < rows for word in self.start):
      raise UserError(
        f"prompt tuning: start={tuple(self.start)} must be ids below {rows}."
      )
    times = -(-self.tokens // len(self.start))
    return jnp.array((tuple(self.start) * times)[: self.tokens])

  def _read(self, inputs: Any, config: Any) -> tuple[Any, bool]:
    """Returns what the network reads, and whether the prompt is in it."""
    inputs = dict(inputs)
    if not inputs.pop("begins", "cache" not in inputs):
      return inputs, False
    texts.check_room("prompt tuning", inputs, self.tokens, config)
    for name in ("segment_ids", "positions"):
      if inputs.get(name) is not None:
        raise UserError(
          f"prompt tuning stands before one text a row: leave out {name}"
          " (data.packing=False), or choose prefix."
        )
    # Any word but padding, whose vector the prompt then takes the place of.
    word = int(getattr(config, "pad_id", None) == 0)
    fill = {"input_ids": word, "attention_mask": 1, "token_type_ids": 0}
    for name, value in fill.items():
      if name in inputs:
        wide = ((0, 0), (self.tokens, 0))
        inputs[name] = jnp.pad(inputs[name], wide, constant_values=value)
    if inputs.get("logits_at") is not None:
      inputs["logits_at"] = inputs["logits_at"] + self.tokens
    return inputs, True

  def _shortened(self, outputs: Any, inputs: Any) -> Any:
    outputs = dict(outputs)
    asked = inputs.get("logits_at") is not None
    for name in ("hidden",) if asked else ("hidden", "logits"):
      if name in outputs and outputs[name].ndim == 3:
        outputs[name] = outputs[name][:, self.tokens :]
    return outputs
