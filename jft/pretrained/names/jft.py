"""jft's own names, as its exports have them: every variable as it is."""

from jft.pretrained.dialect import Dialect
from jft.pretrained.layouts import Entry

JFT = Dialect(
  "jft",
  fits=lambda shapes: (
    bool(shapes)
    and any(name.startswith("params/") for name in shapes)
    and all(name.count("/") for name in shapes)
  ),
  table=lambda config, shapes: {name: Entry(name) for name in shapes},
  dropped=lambda config: (),
  head=r"params/head/.*",
)
"""Fits every family; a file of it needs jft's own card beside it."""
