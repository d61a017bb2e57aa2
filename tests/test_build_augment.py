"""The section "augment": contradictions are refused, and a run uses it."""

import jax
import numpy as np
import pytest
import tiny

from jft import augmented, config, contact_sheet, pictures
from jft.build import build, words
from jft.build.check import check
from jft.data.text import Tokenizer
from jft.errors import UserError


def with_(*overrides, recipe="quickstart"):
  return config.load(recipe, [f"augment.{text}" for text in overrides])


@pytest.mark.parametrize(
  ("overrides", "message"),
  [
    (["images=('flips',)"], "augment.images has 'flips'.*flip"),
    (["images=('flip','flip')"], "names one twice"),
    (["erasing=1.5"], r"augment.erasing=1\.5 is a share, in \[0, 1\]"),
    (
      ["word_dropout=1.0"],
      r"augment.word_dropout=1\.0 is a share, in \[0, 1\)",
    ),
    (["mixup=-0.2"], "augment.mixup=-0.2 is the alpha"),
    (["rand_augment_magnitude=31"], "rand_augment_magnitude=31"),
    (["min_area=0.0"], "augment.min_area=0.0"),
    (["jitter=2.0"], "augment.jitter=2.0"),
    (["degrees=200.0"], "augment.degrees=200.0"),
    (["padding=0"], "augment.padding=0"),
    (["test_time=('flop',)"], "augment.test_time has 'flop'"),
    (["test_time_mean=median"], "augment.test_time_mean='median'"),
  ],
)
def test_values_that_cannot_be_meant_are_named(overrides, message):
  with pytest.raises(UserError, match=message):
    check(with_(*overrides))


def changed(*overrides, recipe="quickstart"):
  return config.load(recipe, overrides)


REGRESSION = (
  "task.name=regression",
  "stop.metric=val/loss",
  "stop.mode=min",
)


@pytest.mark.parametrize(
  ("overrides", "message"),
  [
    (
      ["data.augment=crop_flip", "augment.images=('pad_crop',)"],
      "does the same on the host",
    ),
    ([*REGRESSION, "augment.mixup=0.2"], "mix classes"),
    (
      [*REGRESSION, "augment.test_time=('flip',)"],
      "set it to 'logits'",
    ),
    (
      [
        "task.name=causal_lm",
        "stop.metric=val/loss",
        "stop.mode=min",
        "tune.head_first=0.0",
        "augment.token_masking=0.1",
      ],
      "one by one",
    ),
  ],
)
def test_contradictions_are_named_before_anything_is_loaded(overrides, message):
  with pytest.raises(UserError, match=message):
    check(changed(*overrides))


@pytest.fixture(scope="module")
def source(tmp_path_factory):
  return tiny.write(tmp_path_factory.mktemp("tiny"))


def made(source, monkeypatch, *overrides):
  tiny.add_preset(monkeypatch)
  loaded = config.load(
    "quickstart", tiny.overrides(source, "optim.warmup_steps=0", *overrides)
  )
  return loaded, build(loaded)


def test_a_run_trains_on_mixed_examples_and_sees_views(source, monkeypatch):
  _, run = made(
    source,
    monkeypatch,
    "augment.images=('pad_crop',)",
    "augment.padding=1",
    "augment.cutmix=1.0",
    "augment.test_time=('flip',)",
  )
  batch = run.splits.train.batch_at(0)
  got = jax.eval_shape(run.augment, jax.random.key(0), batch)
  assert got["label"].shape == (len(batch["label"]), 10)
  assert got["image"].shape == batch["image"].shape
  outputs = jax.eval_shape(run.eval_step, run.state.variables, batch)["outputs"]
  assert outputs["logits"].shape == (len(batch["label"]), 10)
  plain = run.make_step(0, run.tuning.tx(0), augmented=False)
  assert plain.mesh == run.steps[0].mesh


def test_words_are_not_of_images(source, monkeypatch):
  with pytest.raises(UserError, match=r"augment\.word_dropout is of texts"):
    made(source, monkeypatch, "augment.word_dropout=0.1")


def test_a_sheet_shows_examples_before_and_after(source, monkeypatch):
  loaded, run = made(source, monkeypatch, "augment.images=('flip_vertical',)")
  augmented.refuse_none(run, loaded)
  rows = augmented.pictures(run, 2, 3)
  assert [len(row) for row in rows] == [4, 4]
  first, *others = (picture.pixels for picture in rows[0])
  for pixels in others:  # as it is, or upside down
    assert any(np.allclose(pixels, x, atol=1e-5) for x in (first, first[::-1]))
  batch = run.splits.train.batch_at(0)
  assert rows[1][0].label == run.label_names[int(batch["label"][1])]
  data = pictures.png(contact_sheet.draw(rows, ["plain"]))
  assert data[:4] == b"\x89PNG"


def test_a_run_without_augmentation_has_no_sheet(source, monkeypatch):
  loaded, run = made(source, monkeypatch)
  assert run.augment is None
  with pytest.raises(UserError, match="nothing is augmented"):
    augmented.refuse_none(run, loaded)


def test_shares_of_classes_are_told_from_the_greatest():
  names = ["ant", "bee"]
  assert augmented.shares(np.array([0.3, 0.7]), names) == "bee 0.70, ant 0.30"
  assert augmented.shares(np.array([1.0, 0.0]), names) == "ant"


# --- texts -------------------------------------------------------------------


def tokenizer(vocabulary, special):
  import tokenizers

  ids = {token: i for i, token in enumerate(vocabulary)}
  encoder = tokenizers.Tokenizer(
    tokenizers.models.WordLevel(ids, unk_token=vocabulary[0])
  )
  encoder.add_special_tokens(list(special))
  return Tokenizer(encoder, 16, 0, "")


def test_words_of_each_kind_of_vocabulary_are_known():
  bert = words.vocabulary(
    tokenizer(["[PAD]", "[MASK]", "run", "##ning"], ["[PAD]", "[MASK]"])
  )
  assert bert.special.tolist() == [True, True, False, False]
  assert bert.inner.tolist() == [False, False, False, True]
  assert bert.mask_id == 1
  gpt = words.vocabulary(tokenizer(["<pad>", "Ġrun", "ning"], ["<pad>"]))
  assert gpt.inner[1:].tolist() == [False, True]
  assert gpt.mask_id is None


def test_a_file_of_synonyms_is_read_or_refused_by_name(tmp_path):
  path = tmp_path / "words.tsv"
  with pytest.raises(UserError, match=r"augment\.synonyms=.*no readable"):
    words.make_synonyms(with_(f"synonyms={path}").augment)
  path.write_text("good fine\n")
  with pytest.raises(UserError, match=r"words\.tsv.*line 1"):
    words.make_synonyms(with_(f"synonyms={path}").augment)
  path.write_text("good\tfine\n")
  c = with_(f"synonyms={path}", "synonym_share=1.0").augment
  assert words.make_synonyms(c)("good", np.random.default_rng(0)) == "fine"
