"""A tensor that repeats another is dropped if it is equal, else refused."""

import numpy as np
import pytest

from jft.errors import UserError
from jft.pretrained.ties import tied

TIES = {"decoder.weight": "word.weight", "decoder.bias": "bias"}


def test_an_equal_copy_is_dropped_by_its_whole_name():
  words = np.arange(6.0).reshape(3, 2)
  source = {"word.weight": words, "decoder.weight": words.copy()}
  assert tied(source, TIES) == [
    (r"decoder\.weight", "tied to 'word.weight', and equal")
  ]


@pytest.mark.parametrize("copy", [np.zeros((3, 2)), np.zeros((2, 3))])
def test_a_copy_that_differs_is_refused(copy):
  source = {"word.weight": np.ones((3, 2)), "decoder.weight": copy}
  with pytest.raises(UserError, match=r"decoder\.weight .* must repeat word"):
    tied(source, TIES)


def test_what_is_not_there_ties_nothing():
  assert tied({"decoder.weight": np.ones(2)}, TIES) == []
  assert tied({"word.weight": np.ones(2)}, TIES) == []
  assert tied({}, None) == []
