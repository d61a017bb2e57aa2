"""From a config to a changed network."""

import jax
import numpy as np
import pytest
import tiny
from golden import text as case

import jft
from jft import config as configs
from jft import data
from jft.build import check
from jft.build.model import load_net
from jft.errors import UserError
from jft.models.head import Head

NAMES = ("bad", "good")


@pytest.fixture(scope="module")
def source(tmp_path_factory):
  folder = tmp_path_factory.mktemp("bert")
  tiny.write_bert(folder)
  return folder


def recipe(source, *overrides):
  sound = (f"model.source={source}", "data.train=csv:none", "train.steps=1")
  return configs.load("default", [*sound, *overrides])


def test_new_tokens_get_a_row_and_one_id(source):
  config = recipe(source, "model.new_tokens=('<film>', '<star>')")
  made = load_net(config, NAMES)
  words = made.params["embeddings"]["word"]["embedding"]
  assert words.shape[0] == 20  # The file has 20 rows, the tokenizer 8 words.
  tokenizer = data.load_tokenizer(
    made.spec.tokenizer, 16, new_tokens=config.model.new_tokens
  )
  ids = tokenizer.encode_batch(["good <film> <star>"])[0]["input_ids"]
  assert ids.tolist() == [2, 5, 8, 9, 3]


def test_more_new_tokens_than_rows_make_the_embedding_grow(source):
  new = tuple(f"<{i}>" for i in range(15))
  made = load_net(recipe(source, f"model.new_tokens={new}"), NAMES)
  assert made.params["embeddings"]["word"]["embedding"].shape[0] == 23
  assert made.report.counts()["resized"] == 1


def test_a_head_of_which_nothing_is_asked_is_the_familys_own(source):
  tuned = recipe(source, "tune.preset=full", "tune.blocks=0")
  assert load_net(tuned, NAMES).spec.head == 2
  probe = recipe(source, "tune.preset=linear_probe", "tune.blocks=0")
  assert load_net(probe, NAMES).spec.head == Head(2)


@pytest.mark.parametrize("family", ["roberta", "distilbert"])
def test_dropout_leaves_the_familys_own_head(family, tmp_path):
  """Which has two layers; of tokens it has one, with dropout before it."""
  case.load(tmp_path, family, "classification")
  rate = ("model.head_dropout=0.375", "tune.preset=full", "tune.blocks=0")
  made = load_net(recipe(tmp_path, *rate), NAMES)
  assert set(made.params["head"]) == {"dense_00", "out"}
  assert made.spec.config.head_dropout == 0.375
  assert made.spec.head == 2
  tags = load_net(
    recipe(tmp_path, *rate, "task.name=token_classification"), NAMES
  )
  assert tags.spec.head == Head(2, dropout=0.375)


@pytest.mark.parametrize("saved", ["mlm", "tokens"])
def test_what_was_saved_for_another_task_becomes_a_classifier(saved, tmp_path):
  """As a model that has learnt the domain's words is, before the task."""
  (tmp_path / "hub").mkdir()
  words = case.load(tmp_path / "hub", "bert", saved)
  jft.export(words, "safetensors", tmp_path / "own")
  for folder in ("hub", "own"):
    config = recipe(tmp_path / folder, "model.pooling=mean", "tune.preset=full")
    made = load_net(config, NAMES)
    assert made.spec.config.task == "classification"
    assert made.params["head"]["kernel"].shape[-1] == 2
    word = made.params["embeddings"]["word"]["embedding"]
    old = words.params["embeddings"]["word"]["embedding"]
    np.testing.assert_array_equal(word, old)
  # Tags may be meant by classes, words cannot.
  said = {} if saved == "mlm" else {"task": "classification"}
  made = jft.load_pretrained(
    str(tmp_path / "own"),
    num_classes=3,
    key=jax.random.key(0),
    pooling="mean",
    **said,
  )
  assert made.spec.num_classes == 3


def test_a_prior_is_the_shares_of_the_training_classes(source):
  config = recipe(
    source,
    "model.head_prior=True",
    "model.head_init=zeros",
    "model.head_widths=(4,)",
  )
  train = data.arrays(
    {"text": ["a"] * 4, "label": np.array([0, 1, 1, 1], np.int32)},
    label_names=NAMES,
  )
  made = load_net(config, NAMES, train)
  bias = made.params["head"]["out"]["bias"]
  np.testing.assert_allclose(jax.nn.softmax(bias), [0.25, 0.75], rtol=1e-6)
  assert made.spec.num_classes == 2


def test_blocks_and_leaves_are_chosen(source):
  config = recipe(
    source,
    "model.keep_blocks=(0, 0)",
    "model.reinit=('params/block_01/mlp/.*',)",
  )
  made = load_net(config, NAMES)
  assert made.spec.config.depth == 2
  fresh = [row.name for row in made.report if row.status == "reinit"]
  assert len(fresh) == 4 + 2  # The MLP's, and the head's.


@pytest.mark.parametrize(
  ("override", "message"),
  [
    ("model.head_init=zero", "choose one of family, zeros, trunc_normal"),
    ("model.head_dropout=1.0", r"model.head_dropout=1.0 is a share, in \[0"),
  ],
)
def test_what_is_refused(source, override, message):
  with pytest.raises(UserError, match=message):
    check(recipe(source, override))


def test_a_prior_needs_classes(source):
  config = recipe(
    source,
    "model.head_prior=True",
    "task.name=regression",
    "stop.metric=val/mse",
    "stop.mode=min",
  )
  with pytest.raises(UserError, match=r"model\.head_prior starts the head"):
    check(config)
