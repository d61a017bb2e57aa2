import numpy as np
import pytest
import tokenizers

from jft import data
from jft.data.sources.documents import Documents, Turn
from jft.data.token_rows import Row, RowExamples, packed
from jft.errors import UserError
from jft.typing import IGNORED

VOCAB = {word: i for i, word in enumerate(["<pad>", "</s>", "<s>", *"abcdefg"])}
FORM = (
  "{% for m in messages %}{{ m.content }}{% if m.role == 'assistant' %}</s>"
  "{% endif %}{% endfor %}"
)


def tokenizer(most=8, eos=1):
  """Each letter is a token; a text begins with <s>."""
  encoder = tokenizers.Tokenizer(tokenizers.models.WordLevel(VOCAB, "<pad>"))
  encoder.pre_tokenizer = tokenizers.pre_tokenizers.Split("", "isolated")
  encoder.add_special_tokens(["</s>", "<s>"])
  encoder.post_processor = tokenizers.processors.TemplateProcessing(
    single="<s> $A", special_tokens=[("<s>", 2)]
  )
  encoder.enable_truncation(most)
  return data.Tokenizer(encoder, most, 0, "", bos_id=2, eos_id=eos)


def plain(*texts):
  return Documents(list(texts), [], "a", [f"a[{i}]" for i in range(len(texts))])


def chats(*pairs):
  turns = [(Turn("user", q), Turn("assistant", a)) for q, a in pairs]
  return Documents(
    [q + a for q, a in pairs],
    turns,
    "a",
    [f"a[{i}]" for i in range(len(pairs))],
  )


def test_a_label_is_the_next_token_and_the_end_is_asked():
  row = data.token_rows(plain("abc"), tokenizer()).rows[0]
  assert row.ids.tolist() == [2, 3, 4, 5]
  assert row.label.tolist() == [3, 4, 5, 1]


def test_the_end_is_asked_where_it_is_the_padding_too():
  row = data.token_rows(plain("ab"), tokenizer(eos=0)).rows[0]
  assert row.label.tolist() == [3, 4, 0]


def test_a_long_text_goes_on_and_every_token_is_asked_once():
  rows = data.token_rows(plain("abcdefg"), tokenizer(most=3)).rows
  assert [row.ids.tolist() for row in rows] == [[2, 3, 4], [5, 6, 7], [8, 9]]
  assert [row.label.tolist() for row in rows] == [[3, 4, 5], [6, 7, 8], [9, 1]]


def test_of_a_chat_the_answer_alone_is_asked():
  template = data.load_template(FORM, {})
  found = data.token_rows(chats(("abc", "de")), tokenizer(), template=template)
  row = found.rows[0]
  assert row.ids.tolist() == [3, 4, 5, 6, 7]  # no <s>: the template wrote none
  assert row.label.tolist() == [IGNORED, IGNORED, 6, 7, 1]
  assert (found.tokens, found.asked, found.cut) == (5, 3, 0)


def test_turns_without_a_template_have_the_tokenizers_own_ends():
  row = data.token_rows(chats(("ab", "c")), tokenizer()).rows[0]
  assert row.ids.tolist() == [2, 3, 4, 5]
  assert row.label.tolist() == [IGNORED, IGNORED, 5, 1]


def test_a_long_chat_loses_its_end_and_is_counted():
  template = data.load_template(FORM, {})
  found = data.token_rows(
    chats(("ab", "cdefg"), ("a", "b")), tokenizer(most=4), template=template
  )
  assert found.cut == 1
  assert found.rows[0].label.tolist() == [IGNORED, 5, 6, 7]


@pytest.mark.parametrize("form", [FORM, None])
def test_a_chat_with_nothing_left_to_learn_is_an_error(form):
  template = form and data.load_template(form, {})
  with pytest.raises(UserError, match=r"a\[1\]: the answer begins after"):
    data.token_rows(
      chats(("a", "b"), ("abcdef", "g")), tokenizer(most=4), template=template
    )


def test_turns_without_a_template_lose_their_end_too():
  found = data.token_rows(chats(("ab", "cdefg")), tokenizer(most=4))
  (only,) = found.rows
  assert only.label.tolist() == [IGNORED, IGNORED, 5, 6]
  assert found.cut == 1


def test_a_tokenizer_without_an_end_is_an_error():
  with pytest.raises(UserError, match="names no token that ends a text"):
    data.token_rows(plain("ab"), tokenizer(eos=None))


def row(n):
  ids = np.arange(n, dtype=np.int32)
  return Row(ids, ids, np.ones(n, np.int32), ids)


def test_packing_fills_rows_and_keeps_documents_apart():
  joined = packed([row(5), row(3), row(8), row(2)], 8)
  assert [len(r.ids) for r in joined] == [8, 8, 2]
  assert joined[1].segment.tolist() == [1] * 5 + [2] * 3
  assert joined[1].position.tolist() == [0, 1, 2, 3, 4, 0, 1, 2]


def test_packing_wastes_little():
  lengths = np.random.default_rng(0).integers(1, 100, 500)
  joined = packed([row(n) for n in lengths], 128)
  assert sum(len(r.ids) for r in joined) == lengths.sum()
  assert max(len(r.ids) for r in joined) <= 128
  # The least there can be, and 2 %.
  assert len(joined) <= np.ceil(lengths.sum() / 128) * 1.02


def test_batches_are_padded_and_packed_ones_say_where_documents_are():
  source = plain("abc", "d")
  examples = RowExamples(data.token_rows(source, tokenizer()))
  batch = examples.take(np.array([1, 0]), 6)
  assert sorted(batch) == ["attention_mask", "input_ids", "label"]
  assert batch["input_ids"].tolist() == [[2, 6, 0, 0, 0, 0], [2, 3, 4, 5, 0, 0]]
  assert batch["label"][0].tolist() == [6, 1, -1, -1, -1, -1]
  rows = data.token_rows(source, tokenizer(), packing=True)
  batch = RowExamples(rows).take(np.array([0]))
  assert batch["segment_ids"].tolist() == [[1, 1, 1, 1, 2, 2]]
  assert batch["positions"].tolist() == [[0, 1, 2, 3, 0, 1]]


def test_a_loader_batches_rows_by_length():
  source = data.token_rows(plain(*["abcd", "a"] * 8), tokenizer())
  loader = data.batches(source, 4, tokenizer(), seed=0, bucket_count=1)
  batch = loader.batch_at(0)
  assert batch["input_ids"].shape == (4, 8)
  assert sorted(batch) == ["attention_mask", "id", "input_ids", "label", "mask"]
