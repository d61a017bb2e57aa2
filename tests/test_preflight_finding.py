import pytest

from jft.errors import UserError
from jft.preflight.finding import Finding, guarded, percent, refuse, render

FINE = Finding("labels", "ok", "all is well.")
ODD = Finding("leaks", "warning", "word " * 20 + "\n  x = y\n  z = u")
BAD = Finding("gradient", "error", "no gradient at all.")
TORN = Finding("labels", "error", "a class is missing.")


def test_render():
  assert render([FINE, ODD, BAD]) == (
    "ok       labels: all is well.\n"
    "warning  leaks: word word word word word word word word word word word"
    " word word\n"
    "         word word word word word word word\n"
    "           x = y\n"
    "           z = u\n"
    "error    gradient: no gradient at all."
  )
  assert render([FINE, ODD, BAD], least="error").startswith("error    grad")
  assert render([FINE], least="warning") == ""


def test_refuse_names_every_error():
  refuse([FINE, ODD])
  with pytest.raises(UserError) as error:
    refuse([BAD, FINE, ODD, TORN])
  assert str(error.value) == (
    "this run would be in vain:\n"
    "error    gradient: no gradient at all.\n"
    "error    labels: a class is missing."
  )


def test_a_mistake_in_the_data_is_a_finding_and_a_fault_is_not():
  def raises(error):
    raise error

  (found,) = guarded("images", lambda: raises(UserError("x.jpg is broken.")))
  assert found == Finding("images", "error", "x.jpg is broken.")
  with pytest.raises(ZeroDivisionError):
    guarded("images", lambda: raises(ZeroDivisionError()))


@pytest.mark.parametrize(
  ("part", "whole", "text"),
  [(0, 0, "0 %"), (1, 1, "100 %"), (1, 8, "12.5 %"), (1, 5000, "below 0.1 %")],
)
def test_percent(part, whole, text):
  assert percent(part, whole) == text
