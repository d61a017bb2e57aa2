import pytest

from jft.errors import UserError
from jft.pretrained import card


def read(folder, content):
  path = folder / "config.json"
  path.write_text(content, encoding="utf-8")
  return card.read(path)


def test_what_is_sound_comes_back_and_null_counts_as_not_given(tmp_path):
  found = read(
    tmp_path,
    '{"id2label": {"1": "b", "0": "a"}, "mean": [0.5, 0], "std": [1, 1e-3],'
    ' "image_size": null, "label_names": null, "other": [null]}',
  )
  assert found == {
    "id2label": {"1": "b", "0": "a"},
    "mean": [0.5, 0],
    "std": [1, 0.001],
    "other": [None],
  }


@pytest.mark.parametrize(
  ("content", "message"),
  [
    ('{"label_names": true}', "label_names must be a list of class names"),
    ('{"label_names": "ab"}', "label_names must be a list"),
    ('{"label_names": [1]}', "label_names must be a list"),
    ('{"id2label": ["a"]}', "id2label must be class names by index"),
    ('{"id2label": {"x": "a"}}', "id2label must be"),
    ('{"id2label": {"0": ["a"]}}', "id2label must be"),
    ('{"id2label": {"\u00b2": "a"}}', "id2label must be"),
    ('{"image_size": "224"}', "image_size must be a side in pixels, from 1"),
    ('{"image_size": [224, 224]}', r"image_size .* got \[224, 224\]"),
    ('{"image_size": 1000000}', "image_size must be"),
    ('{"image_size": 0}', "image_size must be"),
    ('{"image_size": true}', "image_size must be"),
    ('{"mean": 0.5}', "mean must be a list of numbers, one a channel"),
    ('{"mean": [NaN]}', "mean must be"),
    ('{"std": [0]}', "std must be a list of positive numbers"),
    ('{"std": [1e999]}', "std must be"),
    ('{"std": [true]}', "std must be"),
    ("[" * 100_000, "is not JSON"),
    ('{"a": ' + "9" * 5000 + "}", "is not JSON"),
    ("[]", "is not a JSON object"),
  ],
)
def test_what_is_malformed_is_named(tmp_path, content, message):
  with pytest.raises(UserError, match=rf"config\.json.*{message}"):
    read(tmp_path, content)


def test_a_missing_file_is_named(tmp_path):
  with pytest.raises(UserError, match=r"cannot read .*gone\.json"):
    card.read(tmp_path / "gone.json")
