"""An example in a few words: its file, or where it stands and its text."""

from jft.data.source import origin, where
from jft.typing import Any

_LETTERS = 60


def show(source: Any, i: int) -> str:
  """Returns what to call an example.

  >>> from jft.data import arrays
  >>> show(arrays({"text": ["so good"]}, name="train"), 0)
  'train[0] "so good"'
  """
  whole, at = origin(source, i)
  if hasattr(whole, "content"):
    return where(source, i)
  text = whole[at].get("text")
  if not isinstance(text, str):
    return where(source, i)
  return f'{where(source, i)} "{short(text)}"'


def short(text: str, letters: int = _LETTERS) -> str:
  """Returns a text on one line, cut.

  >>> short("one  two\\nthree", 9)
  'one two …'
  """
  line = " ".join(text.split())
  return line if len(line) <= letters else f"{line[: letters - 1]}…"
