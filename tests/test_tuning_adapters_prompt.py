import jax
import numpy as np
import pytest
import tuned
from golden import side, side_cases
from test_tuning_adapters_prefix import continued
from variants import some

from jft import adapters, generation
from jft.errors import UserError
from jft.tuning.adapters.prompt import Prompt

KEY = jax.random.key(0)


@pytest.mark.parametrize(
  "case",
  some(
    ["prompt_bert", "prompt_roberta", "prompt_llama", "prompt_gpt2"],
    *("prompt_bert", "prompt_llama"),
  ),
)
def test_as_peft(case, tmp_path):
  assert side.fresh(tmp_path, case) == side_cases.shapes(case)
  want = side.numbers(side.read(case))
  side.assert_close(side.computed(tmp_path, case), want, 1e-5)


@pytest.mark.parametrize(
  "case", some(["prompt_llama", "prompt_gpt2"], "prompt_llama")
)
@pytest.mark.parametrize("padding", some([0, 2], 2))
def test_generation_goes_on_as_the_whole_text_says(case, padding, tmp_path):
  got = continued(tmp_path, case, padding)
  np.testing.assert_array_equal(got, side.read(case)["continued"])


@pytest.mark.slow
def test_a_prompt_of_words_is_those_words():
  """Before the text's own words it gives what they would."""
  net = tuned.llama(num_classes=None)
  with_one = adapters.add(net, Prompt(3, start=(8, 9)), key=KEY)
  own = with_one.params["adapters"]["default"]["embeddings"]["prompt"]
  words = net.params["embeddings"]["word"]["embedding"]
  np.testing.assert_array_equal(own, words[np.array([8, 9, 8])])
  ids = np.array([[3, 4, 5]], np.int32)
  longer = np.concatenate([[[8, 9, 8]], ids], 1).astype(np.int32)
  got = with_one.apply(
    with_one.variables,
    {"input_ids": ids, "attention_mask": np.ones_like(ids)},
  )
  want = net.apply(
    net.variables,
    {"input_ids": longer, "attention_mask": np.ones_like(longer)},
  )
  for name in ("hidden", "logits"):
    np.testing.assert_allclose(got[name], want[name][:, 3:], atol=1e-6)
  np.testing.assert_allclose(got["features"], want["features"], atol=1e-6)


def test_it_starts_as_words_of_the_vocabulary():
  net = tuned.bert()
  words = np.asarray(net.params["embeddings"]["word"]["embedding"])
  with_one = adapters.add(net, Prompt(4), key=KEY)
  own = with_one.params["adapters"]["default"]["embeddings"]["prompt"]
  assert all((row == words).all(1).any() for row in np.asarray(own))
  drawn = adapters.add(net, Prompt(400, random=True), key=KEY)
  own = drawn.params["adapters"]["default"]["embeddings"]["prompt"]
  assert np.std(own) == pytest.approx(1, rel=0.05)  # torch.nn.Embedding's


@pytest.mark.slow
def test_it_runs_where_blocks_are_one_loop():
  plain = adapters.add(tuned.llama(), Prompt(3), key=KEY)
  looped = adapters.add(tuned.llama(scan=True), Prompt(3), key=KEY)
  want = plain.apply(plain.variables, tuned.TEXT)["logits"]
  got = looped.apply(plain.variables, tuned.TEXT)["logits"]
  np.testing.assert_allclose(got, want, atol=1e-5)


def test_what_it_cannot_be():
  with pytest.raises(UserError, match="texts, which ViT does not"):
    adapters.add(tuned.vit(), Prompt(2), key=KEY)
  with pytest.raises(UserError, match=r"start=\(20,\) must be ids below 20"):
    adapters.add(tuned.bert(), Prompt(2, start=(20,)), key=KEY)
  net = adapters.add(tuned.llama(num_classes=None), Prompt(28), key=KEY)
  with pytest.raises(UserError, match="5 tokens of text and 28 learned ones"):
    net.apply(net.variables, tuned.TEXT)
  with pytest.raises(UserError, match="28 tokens of its adapter"):
    generation.generate(net, tuned.TEXT, max_new_tokens=1)
  net = adapters.add(tuned.llama(), Prompt(2), key=KEY)
  packed = {**tuned.TEXT, "segment_ids": tuned.TEXT["attention_mask"]}
  with pytest.raises(UserError, match="leave out segment_ids"):
    net.apply(net.variables, packed)
