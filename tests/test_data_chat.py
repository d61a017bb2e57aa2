import pytest

from jft.data.chat import load_template, prompt_of, rendered
from jft.data.sources.documents import Turn
from jft.errors import UserError

# That of SmolLM2-Instruct, as its tokenizer_config.json has it.
SMOLLM2 = (
  "{% for message in messages %}{% if loop.first and messages[0]['role'] !="
  " 'system' %}{{ '<|im_start|>system\nYou are a helpful AI assistant named"
  " SmolLM, trained by Hugging Face<|im_end|>\n' }}{% endif %}"
  "{{'<|im_start|>' + message['role'] + '\n' + message['content'] +"
  " '<|im_end|>' + '\n'}}"
  "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}"
  "{% endif %}"
)
CHAT = (
  Turn("user", "Hi"),
  Turn("assistant", "Hello."),
  Turn("user", "2+2?"),
  Turn("assistant", "4"),
)


def test_the_answers_and_what_ends_them_are_asked():
  found = rendered({"turns": CHAT}, load_template(SMOLLM2, {}))
  assert found.special
  assert [found.text[a:b] for a, b in found.asked] == [
    "Hello.<|im_end|>",
    "4<|im_end|>",
  ]
  assert found.text.startswith("<|im_start|>system\nYou are a helpful")


def test_a_prompt_ends_where_the_answer_begins():
  template = load_template(SMOLLM2, {})
  whole = rendered({"turns": CHAT}, template)
  prompt = prompt_of(CHAT[:3], template)
  assert prompt.text == whole.text[: whole.asked[1][0]]


def test_without_a_template_the_turns_follow_each_other():
  found = rendered({"turns": CHAT[2:]}, None)
  assert (found.text, found.asked, found.special) == ("2+2?4", ((4, 5),), False)


def test_all_of_a_plain_text_is_asked():
  found = rendered({"text": "abc"}, None)
  assert (found.asked, found.special) == (((0, 3),), False)


def test_a_template_sees_no_clock_and_reads_generation_marks():
  form = (
    "{%- if strftime_now is defined %}{{ strftime_now('%Y') }}{% else %}old"
    "{% endif %}{% for m in messages %}{% generation %}{{ m.content }}"
    "{% endgeneration %}{{ eos_token }}{% endfor %}"
  )
  template = load_template(form, {"eos_token": "</s>"})
  assert template.text([Turn("user", "Hi")]) == "oldHi</s>"


def test_a_template_that_rewrites_earlier_turns_is_refused():
  form = (
    "{{ messages | length }}{% for m in messages %}{{ m.content }}{% endfor %}"
  )
  with pytest.raises(UserError, match="writes earlier turns in another way"):
    rendered({"turns": CHAT}, load_template(form, {}))


def test_a_template_may_refuse_a_conversation():
  form = "{{ raise_exception('roles must alternate') }}"
  with pytest.raises(UserError, match="of user: roles must alternate"):
    load_template(form, {}).text([Turn("user", "Hi")])


def test_a_template_cannot_reach_python():
  form = "{{ ().__class__.__bases__[0].__subclasses__() }}"
  with pytest.raises(UserError, match="refuses a conversation"):
    load_template(form, {}).text([Turn("user", "Hi")])


def test_what_is_no_template_is_named():
  with pytest.raises(UserError, match="no Jinja"):
    load_template("{% for %}", {})
