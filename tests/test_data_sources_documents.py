import csv
import json

import pytest

from jft import data
from jft.errors import UserError


def lines(path, *rows):
  path.write_text("".join(json.dumps(row) + "\n" for row in rows))
  return path


def test_a_text_file_is_one_document_or_is_cut(tmp_path):
  path = tmp_path / "plays.txt"
  path.write_text("a\nb\n---\nc\n---\n")
  assert data.text_documents(str(path))[0] == {"text": "a\nb\n---\nc\n---\n"}
  cut = data.text_documents(str(path), separator="---\n")
  assert [cut[i]["text"] for i in range(len(cut))] == ["a\nb\n", "c\n"]


def test_a_separator_as_a_shell_spells_it_is_an_error(tmp_path):
  path = tmp_path / "a.txt"
  path.write_text("a\n\nb\n")
  with pytest.raises(UserError, match="has a backslash and occurs nowhere"):
    data.text_documents(str(path), separator="\\n\\n")
  path.write_text(r"a\b")
  assert len(data.text_documents(str(path), separator="\\")) == 2


@pytest.mark.parametrize(
  ("part", "text"),
  [("[:50%]", "0\n1\n"), ("[50%:]", "2\n3\n"), ("[1:3]", "1\n2\n")],
)
def test_a_part_of_a_file_is_told_in_lines(tmp_path, part, text):
  path = tmp_path / "a.txt"
  path.write_text("0\n1\n2\n3\n")
  assert data.text_documents(f"{path}{part}")[0]["text"] == text


def test_an_empty_part_is_an_error(tmp_path):
  path = tmp_path / "a.txt"
  path.write_text("0\n1\n")
  with pytest.raises(UserError, match="no line from 2 to 2; the file has 2"):
    data.text_documents(f"{path}[2:]")


def test_a_prompt_and_its_answer_are_two_turns(tmp_path):
  path = lines(tmp_path / "a.jsonl", {"q": "2+2?", "x": "", "a": "4"})
  found = data.json_documents(
    path, prompt="{q}\n{{{x}}}", response="{a}", system="Be brief."
  )
  assert found[0] == {
    "text": "Be brief.\n2+2?\n{}\n4",
    "turns": (
      ("system", "Be brief."),
      ("user", "2+2?\n{}"),
      ("assistant", "4"),
    ),
  }


def test_rows_of_a_table_are_documents_as_objects_are(tmp_path):
  rows = [
    {"q": "2+2?", "x": 'a "b",\nc', "a": "4"},
    {"q": "é", "x": "", "a": "5"},
  ]
  table, objects = tmp_path / "a.csv", lines(tmp_path / "a.jsonl", *rows)
  with table.open("w", newline="", encoding="utf-8") as file:
    writer = csv.DictWriter(file, ["q", "x", "a"])
    writer.writeheader()
    writer.writerows(rows)
  form = {"prompt": "{q}\n{x}", "response": "{a}", "system": "Be brief."}
  found, wanted = (
    read(path, **form)
    for read, path in (
      (data.csv_documents, table),
      (data.json_documents, objects),
    )
  )
  assert [*found] == [*wanted]
  assert [*data.csv_documents(table, text="q")] == [
    {"text": "2+2?"},
    {"text": "é"},
  ]
  assert data.prompts(table, prompt="{q}") == data.prompts(
    objects, prompt="{q}"
  )
  plain = tmp_path / "a.tsv"
  plain.write_text('one\t"1\n')
  assert data.csv_documents(plain, header=False, text="1")[0]["text"] == '"1'
  assert data.prompts(plain, header=False, text="0") == [(("", "one"),)]
  with pytest.raises(UserError, match=r"a.tsv:1: no 'text'"):
    data.csv_documents(plain, header=False)
  plain.write_text("a\tb\n1\n")
  with pytest.raises(UserError, match=r"a.tsv:2: expected 2 columns, got 1"):
    data.csv_documents(plain, text="a")


def test_a_chat_keeps_its_own_system_message(tmp_path):
  said = [
    {"role": "system", "content": "Rhyme."},
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": "Bye"},
  ]
  path = lines(tmp_path / "a.jsonl", {"messages": said})
  found = data.json_documents(path, messages="messages", system="Be brief.")
  assert [turn.role for turn in found[0]["turns"]] == [
    "system",
    "user",
    "assistant",
  ]
  assert found[0]["turns"][0].content == "Rhyme."


def test_equal_documents_share_a_split(tmp_path):
  rows = [{"text": f"document {i % 20}"} for i in range(60)]
  path = tmp_path / "a.json"
  path.write_text(json.dumps(rows))
  parts = data.split(data.json_documents(path), {"a": 0.5, "b": 0.5})
  texts = [
    {part[i]["text"] for i in range(len(part))} for part in parts.values()
  ]
  assert len(texts[0] | texts[1]) == 20
  assert not texts[0] & texts[1]


@pytest.mark.parametrize(
  ("row", "options", "message"),
  [
    ({"text": " \n"}, {}, "is empty .1 of 1 documents are so."),
    ({"txt": "a"}, {}, "no 'text'. Did you mean 'txt'"),
    ({"text": 3}, {}, "'text' must be a text, got '3'"),
    ({"m": []}, {"messages": "m"}, "must be a list of messages"),
    ({"m": ["a"]}, {"messages": "m"}, "must be an object with role"),
    (
      {"m": [{"role": "bot", "content": "a"}]},
      {"messages": "m"},
      "has the role 'bot', expected one of system, user",
    ),
    (
      {"m": [{"role": "user", "content": "a"}]},
      {"messages": "m"},
      "has no answer of the assistant",
    ),
    (
      {"q": "a", "a": " "},
      {"prompt": "{q}", "response": "{a}"},
      "empty answer",
    ),
    ({"q": "a"}, {"prompt": "{q", "response": "{a}"}, "is no form"),
  ],
)
def test_a_bad_document_is_named(tmp_path, row, options, message):
  path = lines(tmp_path / "a.jsonl", row)
  with pytest.raises(UserError, match=message) as error:
    data.json_documents(path, **options)
  assert "a.jsonl:1" in str(error.value) or "form" in message


def test_empty_documents_are_left_out_where_that_is_asked(tmp_path):
  path = lines(tmp_path / "a.jsonl", {"text": "a"}, {"text": ""})
  found = data.json_documents(path, on_error="skip")
  assert len(found) == 1
  assert found.skipped == (f"{path}:2 is empty",)
  with pytest.raises(UserError, match="holds no documents"):
    data.json_documents(
      lines(tmp_path / "b.jsonl", {"text": ""}), on_error="skip"
    )


def test_a_json_file_is_a_list_of_objects(tmp_path):
  path = tmp_path / "a.json"
  path.write_text("{}")
  with pytest.raises(UserError, match="expected a list of objects"):
    data.json_documents(path)
  path.write_text("[1]")
  with pytest.raises(UserError, match=r"a.json\[0\]: expected an object"):
    data.json_documents(path)


def test_prompts_are_lines_or_objects(tmp_path):
  path = tmp_path / "a.txt"
  path.write_text("Once\n\nTwice\n")
  assert data.prompts(path) == [(("", "Once"),), (("", "Twice"),)]
  asked = data.prompts(path, prompt="{q}", system="Be brief.")
  assert asked[1] == (("system", "Be brief."), ("user", "Twice"))
  said = [
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": ""},
  ]
  chats = lines(tmp_path / "a.jsonl", {"messages": said})
  assert data.prompts(chats, messages="messages") == [(("user", "Hi"),)]


def test_an_empty_prompt_is_an_error(tmp_path):
  path = lines(tmp_path / "a.jsonl", {"q": " "})
  with pytest.raises(UserError, match="jsonl:1: the prompt is empty"):
    data.prompts(path, prompt="{q}")
  empty = tmp_path / "a.txt"
  empty.write_text("\n")
  with pytest.raises(UserError, match="holds no prompt"):
    data.prompts(empty)
