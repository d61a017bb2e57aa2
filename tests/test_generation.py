import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jft
from jft.errors import UserError
from jft.generation import generate
from jft.models import llama
from jft.sampling import Sampling

CONFIG = dataclasses.replace(
  llama.PRESETS["stories260k"],
  vocab_size=11,
  width=8,
  depth=2,
  heads=2,
  kv_heads=1,
  head_dim=4,
  mlp_width=16,
  max_tokens=32,
)


@pytest.fixture(scope="module")
def net():
  module = llama.module(CONFIG, CONFIG.vocab_size)
  ids = jnp.zeros((1, 4), jnp.int32)
  inputs = {"input_ids": ids, "attention_mask": ids + 1}
  variables = module.init(jax.random.key(0), inputs)
  # Larger weights: a text that does not repeat one token for ever.
  variables = jax.tree.map(lambda x: x * 40 if x.ndim > 1 else x, variables)
  spec = jft.net.Spec("llama", "text", "", CONFIG, CONFIG.vocab_size)
  apply = jft.loading.linen_apply(module)
  return jft.net.Net(apply, variables, spec, jft.net.Report(()))


def slowly(net, ids, count):
  """The likeliest tokens, each from the whole text read anew."""
  text, read = list(ids), jax.jit(net.apply)
  for _ in range(count):
    row = np.zeros((1, 16), np.int32)
    row[0, : len(text)] = text
    mask = (np.arange(16) < len(text)).astype(np.int32)[None]
    inputs = {"input_ids": row, "attention_mask": mask}
    logits = read(net.variables, inputs)["logits"]
    text.append(int(logits[0, len(text) - 1].argmax()))
  return text[len(ids) :]


def test_greedy_texts_are_those_of_reading_everything_anew(net):
  prompts = [[1, 2, 3, 4, 5], [7, 3]]
  expected = [slowly(net, row, 6) for row in prompts]
  assert len(set(expected[0])) > 2
  ids = np.array([prompts[0], [0, 0, 0, *prompts[1]]])
  mask = np.array([[1] * 5, [0, 0, 0, 1, 1]])
  left = generate(
    net, {"input_ids": ids, "attention_mask": mask}, max_new_tokens=6
  )
  assert left.tokens.tolist() == expected
  assert left.lengths.tolist() == [6, 6]
  right = generate(
    net,
    {
      "input_ids": np.array([prompts[0], [*prompts[1], 0, 0, 0]]),
      "attention_mask": mask[:, ::-1],
    },
    max_new_tokens=6,
  )
  assert right.tokens.tolist() == expected


def test_no_word_is_scored_but_the_next(net):
  """Of the prompt, too: its logits would be the largest array of all."""
  seen = []

  def apply(*args, **kwargs):
    outputs = net.apply(*args, **kwargs)
    seen.append((kwargs or args[1]["input_ids"].shape, outputs["logits"].shape))
    return outputs

  watched = dataclasses.replace(net, apply=apply)
  generate(watched, {"input_ids": [[1, 2, 3, 4, 5]]}, max_new_tokens=2)
  assert seen[1:] == [((1, 5), (1, 1, 11)), ((1, 1), (1, 1, 11))]


def test_a_stop_token_ends_a_row(net):
  free = generate(net, {"input_ids": [[1, 2, 3, 4, 5]]}, max_new_tokens=6)
  text = free.tokens[0].tolist()
  end = next(i for i in range(1, 6) if text[i] not in text[:i])
  made = generate(
    net,
    {"input_ids": [[1, 2, 3, 4, 5]]},
    max_new_tokens=6,
    stop=[text[end]],
    pad_id=9,
  )
  assert made.tokens[0].tolist() == [*text[: end + 1], *[9] * (5 - end)]
  assert (made.lengths.tolist(), made.ended.tolist()) == ([end + 1], [True])
  assert not free.ended.any()


@pytest.mark.slow
def test_draws_depend_on_the_key_and_the_row_alone(net):
  def drawn(ids, seed):
    return generate(
      net,
      {"input_ids": ids},
      max_new_tokens=6,
      sampling=Sampling(1.0, top_p=0.9),
      key=jax.random.key(seed),
    ).tokens.tolist()

  one = drawn([[1, 2]], 0)
  assert drawn([[1, 2]], 0) == one
  assert drawn([[1, 2]], 1) != one
  assert drawn([[1, 2], [3, 4]], 0)[0] == one[0]


@pytest.mark.parametrize(
  ("ids", "new", "message"),
  [
    ([[]], 2, "a prompt is empty"),
    ([[1] * 30], 3, "30 tokens and max_new_tokens=3 are more than the 32"),
    ([[1, 11]], 2, "has the token 11, and the model only 11"),
    ([[1]], 0, "max_new_tokens=0 must be at least 1"),
    ([1, 2], 2, r"must be \[b n\]"),
  ],
)
def test_a_prompt_that_cannot_be_gone_on_with_is_named(net, ids, new, message):
  with pytest.raises(UserError, match=message):
    generate(net, {"input_ids": ids}, max_new_tokens=new)


def test_sampling_needs_a_key_and_a_net_that_writes(net):
  with pytest.raises(UserError, match="sampling needs key"):
    generate(
      net, {"input_ids": [[1]]}, max_new_tokens=1, sampling=Sampling(1.0)
    )
  with pytest.raises(UserError, match="writes no text"):
    generate(
      jft.load_pretrained("jft:resnet14_mnist"),
      {"input_ids": [[1]]},
      max_new_tokens=1,
    )
