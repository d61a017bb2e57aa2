"""An example in a few words: its file, or where it stands and its text."""

from jft.data import TEXTS
from jft.data.labels import kind_of
from jft.data.source import origin, where
from jft.typing import Any

_LETTERS = 60


def show(source: Any, i: int) -> str:
  """Returns what to call an example.

  >>> from jft.data import arrays
  >>> pair = {"text": ["so good"], "text_pair": ["so bad"]}
  >>> show(arrays(pair, name="train"), 0)
  'train[0] "so good" "so bad"'
  """
  whole, at = origin(source, i)
  if hasattr(whole, "files") and kind_of(whole) != "document":
    return where(source, i)  # a picture's name is enough
  example = whole[at]
  texts = [example[key] for key in TEXTS if key in example]
  if "words" in example:
    texts = [" ".join(example["words"])]
  letters = _LETTERS // max(1, len(texts))
  return " ".join(
    [where(source, i), *(f'"{short(text, letters)}"' for text in texts)]
  )


def short(text: str, letters: int = _LETTERS) -> str:
  """Returns a text on one line, cut.

  >>> short("one  two\\nthree", 9)
  'one two …'
  """
  line = " ".join(text.split())
  return line if len(line) <= letters else f"{line[: letters - 1]}…"
