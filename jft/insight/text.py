"""Foreign text on its way to a terminal."""


def clean(text: str) -> str:
  """Returns one line without anything that a terminal would act on.

  >>> clean("a\\x1b[2Jb")
  'a?[2Jb'
  """
  text = " ".join(text.split())
  return "".join(c if c.isprintable() else "?" for c in text)
