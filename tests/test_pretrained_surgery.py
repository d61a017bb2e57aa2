"""Changed models: fitted arrays, other blocks, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny

from jft import net, tree
from jft.errors import UserError
from jft.models import bert, resnet
from jft.pretrained import surgery

KEY = jax.random.key(0, impl="rbg")


@pytest.fixture(scope="module")
def text(tmp_path_factory):
  """A BERT of one block."""
  folder = tmp_path_factory.mktemp("bert")
  tiny.write_bert(folder)
  return str(folder)


def test_a_grey_stem_sees_what_the_old_one_saw_of_repeated_grey():
  rng = np.random.default_rng(0)
  kernel = rng.normal(size=(3, 3, 3, 4)).astype(np.float32)
  grey = rng.normal(size=(1, 8, 8, 1)).astype(np.float32)
  fitted = surgery.fit_channels(kernel, (3, 3, 1, 4))

  def conv(x, w):
    return jax.lax.conv_general_dilated(
      x, w, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )

  np.testing.assert_allclose(
    conv(grey, fitted), conv(grey.repeat(3, axis=3), kernel), atol=1e-5
  )


def test_more_channels_keep_the_sum():
  kernel = np.arange(24, dtype=np.float32).reshape(1, 1, 3, 8)
  fitted = surgery.fit_channels(kernel, (1, 1, 6, 8))
  np.testing.assert_allclose(fitted.sum(2), kernel.sum(2), rtol=1e-6)


def test_new_rows_are_the_mean_and_old_ones_keep_their_bits():
  rows = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
  more = surgery.fit_rows(rows, (7, 3))
  assert more[:5].tobytes() == rows.tobytes()
  np.testing.assert_allclose(more[5:], [rows.mean(0)] * 2, rtol=1e-6)
  assert surgery.fit_rows(rows, (2, 3)).tobytes() == rows[:2].tobytes()


def test_a_larger_vocabulary_is_loaded_and_told(text):
  made = net.load_pretrained(text, vocab_size=23)
  old = net.load_pretrained(text)
  words = made.params["embeddings"]["word"]["embedding"]
  before = old.params["embeddings"]["word"]["embedding"]
  assert words.shape == (23, 8)
  assert bool((words[:20] == before).all())
  row = next(row for row in made.report if row.status == "resized")
  assert row.name == "params/embeddings/word/embedding"
  assert row.reason == "(20, 8) → (23, 8)"


def test_other_channels_are_fitted_when_asked_for(tmp_path, monkeypatch):
  tiny.add_preset(monkeypatch)
  source = str(tiny.write(tmp_path))
  made = net.load_pretrained(source, in_channels=3)
  assert made.params["stem"]["conv"]["kernel"].shape[2] == 3
  assert made.report.counts() == {"loaded": 31, "resized": 1}


def test_a_block_can_be_doubled(text):
  made = net.load_pretrained(text, keep_blocks=(0, 0))
  assert made.spec.config.depth == 2
  first, second = (tree.flatten(made.params[f"block_0{i}"]) for i in range(2))
  assert tiny.same_bits(first, second)


def test_what_is_kept_moves_up_and_the_rest_is_dropped(monkeypatch, tmp_path):
  tiny.add_preset(monkeypatch)
  config = resnet.Config((2, 1), width=4, stem="small", in_channels=1)
  monkeypatch.setattr(tiny, "CONFIG", config)
  tiny.add_preset(monkeypatch)
  source = str(tiny.write(tmp_path))
  whole = net.load_pretrained(source)
  made = net.load_pretrained(source, keep_blocks=(0, 2))
  assert made.spec.config.stage_sizes == (1, 1)
  assert tiny.same_bits(
    tree.flatten(made.params["block_01"]),
    tree.flatten(whole.params["block_02"]),
  )
  dropped = [row for row in made.report if row.status == "dropped"]
  assert {row.reason for row in dropped} == {"block_01 is not in keep_blocks"}
  assert len(dropped) == 10
  out = made.apply(made.variables, jnp.zeros((1, 8, 8, 1)))
  assert out["logits"].shape == (1, 10)


@pytest.mark.parametrize(
  ("kept", "message"),
  [
    ((), "rising order"),
    ((1, 0), "rising order"),
    ((-1, 0), "rising order"),
    ((0, 12), "has blocks 0 to 11"),
  ],
)
def test_blocks_that_there_are_not(kept, message):
  with pytest.raises(UserError, match=message):
    surgery.shortened(bert.PRESETS["bert_base"], kept)


@pytest.mark.parametrize("kept", [(1, 2), (0, 1), (0, 2, 2)])
def test_a_stage_needs_its_first_block_once(kept):
  config = resnet.Config((2, 2))
  with pytest.raises(UserError, match="must be kept, once"):
    surgery.shortened(config, kept)


def test_a_block_can_start_anew(text):
  made = net.load_pretrained(text, reinit=["params/block_00/.*"], key=KEY)
  assert made.report.counts()["reinit"] == 16
  assert made.spec.label_names == ("bad", "good")
  with pytest.raises(UserError, match="block_01"):
    net.load_pretrained(text, reinit=["params/block_01/.*"], key=KEY)
