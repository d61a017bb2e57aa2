import types

import numpy as np
import pytest

from jft.preflight import view

WORDS = ["[PAD]", "[CLS]", "[SEP]", "good", "film", "bad"]
TOKENS = {
  "input_ids": np.array([[1, 3, 4, 2, 5, 2], [1, 5, 2, 0, 0, 0]], np.int32),
  "attention_mask": np.array([[1] * 6, [1, 1, 1, 0, 0, 0]], np.int32),
  "token_type_ids": np.array([[0, 0, 0, 0, 1, 1], [0] * 6], np.int32),
  "label": np.array([1, 0], np.int32),
  "id": np.array([7, 2], np.int32),
}


ANSWER = ("no", "yes").__getitem__


def token_view(batch, **options):
  (found,) = view.check(
    batch,
    ANSWER,
    lambda i: f"train[{i}]",
    spec=types.SimpleNamespace(
      config=None,
    ),
    token=WORDS.__getitem__,
    **options,
  )
  return found


def test_tokens_as_the_model_reads_them():
  found = token_view(TOKENS)
  assert found.level == "ok"
  assert found.message == (
    "a training batch of 2 x 6 tokens, 25 % of them padding; 2 examples as the"
    " model reads them:\n"
    "train[2] -> no\n"
    "  read      3  [CLS] bad [SEP]\n"
    "  hidden    3  [PAD]\n"
    "train[7] -> yes\n"
    "  read      4  [CLS] good film [SEP]\n"
    "  read      2  bad [SEP]"
  )
  assert found.details["examples"][1]["segments"] == [
    {"attended": True, "type": 0, "tokens": ["[CLS]", "good", "film", "[SEP]"]},
    {"attended": True, "type": 1, "tokens": ["bad", "[SEP]"]},
  ]


def test_texts_that_are_read_apart():
  pair = {
    "input_ids": np.array([[[1, 3, 2, 0], [1, 5, 4, 2]]]),
    "attention_mask": np.array([[[1, 1, 1, 0], [1, 1, 1, 1]]]),
    "token_type_ids": np.zeros((1, 2, 4), int),
    "label": np.array([1]),
    "id": np.array([4]),
  }
  assert token_view(pair).message.splitlines()[1:] == [
    "train[4] -> yes",
    "  read      3  [CLS] good [SEP]",
    "  hidden    1  [PAD]",
    "  read      4  [CLS] bad film [SEP]",
  ]


def test_a_long_text_is_cut_in_the_middle():
  long = {
    "input_ids": np.array([[1] + [3] * 98 + [2]]),
    "attention_mask": np.ones((1, 100), np.int32),
    "label": np.array([0]),
    "id": np.array([0]),
  }
  text = token_view(long).message
  assert "... 52 more ..." in text
  assert text.endswith("good good [SEP]")
  assert max(map(len, text.splitlines()[1:])) <= 71


def images(pixels, mean=(0.5,), std=(0.5,)):
  pixels = np.asarray(pixels, np.float32)
  batch = {
    "image": (pixels - np.float32(mean)) / np.float32(std),
    "label": np.arange(len(pixels)) % 2,
    "id": np.arange(len(pixels)),
  }
  (found,) = view.check(
    batch,
    ANSWER,
    str,
    spec=types.SimpleNamespace(config=None, mean=mean, std=std),
  )
  return found


EVEN = np.random.default_rng(0).uniform(0, 1, (4, 8, 8, 1))


def test_pixels_of_which_only_the_mean_is_subtracted():
  found = images(EVEN, mean=(0.45,), std=(1 / 255,))
  assert found.level == "ok"
  assert "(expected: about 58.7)" in found.message
  dark = images(EVEN / 20, mean=(0.45,), std=(1 / 255,))
  assert dark.level == "warning"


def test_pixels():
  found = images(EVEN)
  assert found.level == "ok"
  assert (found.details["shape"], len(found.details["examples"])) == (
    [4, 8, 8, 1],
    3,
  )
  assert "(possible: -1.00 to 1.00)" in found.message
  assert found.details["std"] == pytest.approx([2 / np.sqrt(12)], abs=0.05)


@pytest.mark.parametrize(
  "pixels", [EVEN / 255, EVEN * 255, 0.5 + EVEN / 100, EVEN + 2]
)
def test_pixels_of_another_scale(pixels):
  found = images(pixels)
  assert found.level == "warning"
  assert "far from what the model was trained on" in found.message
