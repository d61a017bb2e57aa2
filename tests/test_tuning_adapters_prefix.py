import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tuned
from golden import decoder_cases, side, side_cases
from variants import some

from jft import adapters, generation, tree
from jft.errors import UserError
from jft.tuning.adapters.prefix import Prefix

KEY = jax.random.key(0)


@pytest.mark.parametrize(
  "case",
  some(
    [
      *("prefix_bert", "prefix_roberta", "prefix_llama", "prefix_gpt2"),
      "projected_bert",
    ],
    *("prefix_llama", "projected_bert"),
  ),
)
def test_as_peft(case, tmp_path):
  assert side.fresh(tmp_path, case) == side_cases.shapes(case)
  want = side.numbers(side.read(case))
  side.assert_close(side.computed(tmp_path, case), want, 1e-5)


@pytest.mark.parametrize(
  "case", some(["prefix_llama", "prefix_gpt2"], "prefix_llama")
)
@pytest.mark.parametrize("padding", some([0, 2], 2))
def test_generation_goes_on_as_the_whole_text_says(case, padding, tmp_path):
  got = continued(tmp_path, case, padding)
  np.testing.assert_array_equal(got, side.read(case)["continued"])


def continued(folder, case, padding):
  """Returns the greedy tokens of a prompt padded at its left."""
  method, model = side_cases.CASES[case]
  net = adapters.add(side.network(folder, case), side.METHODS[method], key=KEY)
  values = side_cases.values(case)
  own = tree.unflatten({n: jnp.asarray(x) for n, x in values.items()})
  ids = decoder_cases.prompts(model)["input_ids"][:1]
  wide = ((0, 0), (padding, 0))
  found = generation.generate(
    net,
    {
      "input_ids": np.pad(ids, wide),
      "attention_mask": np.pad(np.ones_like(ids), wide),
    },
    max_new_tokens=decoder_cases.NEW_TOKENS,
    variables={"params": {**net.params, "adapters": {"default": own}}},
  )
  return found.tokens


@pytest.mark.full
def test_packed_texts_all_see_it():
  """A packed row gives what its texts give alone."""
  net = adapters.add(tuned.llama(), Prefix(2), key=KEY)
  ids = np.array([[3, 4, 5, 6, 7]], np.int32)
  segments = np.array([[1, 1, 1, 2, 2]], np.int32)
  ones = np.ones_like(ids)
  packed = net.apply(
    net.variables,
    {"input_ids": ids, "attention_mask": ones, "segment_ids": segments},
  )["hidden"][0]
  for part in (slice(0, 3), slice(3, 5)):
    alone = {"input_ids": ids[:, part], "attention_mask": ones[:, part]}
    want = net.apply(net.variables, alone)["hidden"][0]
    np.testing.assert_allclose(packed[part], want, atol=1e-5)


@pytest.mark.slow
def test_it_is_seen_from_beyond_a_window():
  net = tuned.llama(window=2, layer_types=("sliding", "sliding"))
  net = adapters.add(net, Prefix(2), key=KEY)
  ids = np.array([[3, 4, 5, 6, 7, 8, 9]], np.int32)
  inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
  before = net.apply(net.variables, inputs)["hidden"][0, -1]
  after = net.apply(tuned.moved(net), inputs)["hidden"][0, -1]
  assert np.abs(after - before).max() > 1e-3


@pytest.mark.slow
def test_what_it_cannot_be():
  with pytest.raises(UserError, match="texts, which ViT does not; choose vpt"):
    adapters.add(tuned.vit(), Prefix(2), key=KEY)
  with pytest.raises(UserError, match="tokens=0 must be at least 1"):
    adapters.add(tuned.bert(), Prefix(0), key=KEY)
  with pytest.raises(UserError, match="load it with scan=False"):
    adapters.add(tuned.llama(scan=True), Prefix(2), key=KEY)
  net = adapters.add(tuned.bert(), Prefix(12), key=KEY)
  with pytest.raises(UserError, match="5 tokens of text and 12 learned ones"):
    net.apply(net.variables, tuned.TEXT)
  with pytest.raises(UserError, match="cannot be merged"):
    adapters.merge(net, tuned.TEXT)
