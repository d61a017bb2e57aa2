"""Losses and masking against torch, torchvision and transformers, run now."""

import numpy as np
import pytest
from golden import loss_cases

from jft import tasks
from jft.data.masking import Masking
from jft.typing import IGNORED

torch = pytest.importorskip("torch")
make_losses = pytest.importorskip("golden.make_losses")

pytestmark = pytest.mark.parity


def test_the_record_is_the_originals():
  for name, want in make_losses.originals().items():
    got = loss_cases.ORIGINALS[name]
    np.testing.assert_allclose(got, want.reshape(-1), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("seed", [1, 2])
def test_another_seed(seed):
  ours = loss_cases.ours(loss_cases.given(seed))
  for name, want in make_losses.originals(seed).items():
    np.testing.assert_allclose(
      ours[name], want, rtol=2e-5, atol=5e-6, err_msg=name
    )


def test_masking_has_the_shares_of_transformers(tmp_path):
  transformers = pytest.importorskip("transformers")
  words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
  words += [f"w{i}" for i in range(995)]
  (tmp_path / "vocab.txt").write_text("\n".join(words))
  tokenizer = transformers.BertTokenizerFast(str(tmp_path / "vocab.txt"))
  collate = transformers.DataCollatorForLanguageModeling(tokenizer)
  draw = np.random.default_rng(0)
  ids = draw.integers(5, 1000, (400, 128)).astype(np.int32)
  ids[:, 0], ids[:, -1] = 2, 3
  torch.manual_seed(0)
  made = collate([{"input_ids": row.tolist()} for row in ids])
  theirs = shares(
    ids, made["input_ids"].numpy(), made["labels"].numpy() != -100
  )
  masking, own = Masking(0.15, 4, 1000, seed=0), (ids[0] != 2) & (ids[0] != 3)
  rows = [masking.hide(row, own, i, 0) for i, row in enumerate(ids)]
  read, asked = (np.stack(x) for x in zip(*rows, strict=True))
  ours = shares(ids, read, asked != IGNORED)
  # Six standard deviations of 50,400 draws and of 7,600.
  for name, most in (("asked", 0.01), ("hidden", 0.028), ("same", 0.021)):
    assert abs(ours[name] - theirs[name]) < most, name


def shares(ids, read, asked):
  return {
    "asked": asked[:, 1:-1].mean(),
    "hidden": (read[asked] == 4).mean(),
    "same": (read[asked] == ids[asked]).mean(),
  }


def test_the_loss_of_berts_masked_words():
  transformers = pytest.importorskip("transformers")
  torch.manual_seed(0)
  config = transformers.BertConfig(
    vocab_size=50,
    hidden_size=16,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=32,
  )
  model = transformers.BertForMaskedLM(config).eval()
  draw = np.random.default_rng(0)
  ids = draw.integers(5, 50, (3, 9))
  label = np.where(draw.uniform(size=ids.shape) < 0.4, ids, IGNORED)
  theirs = model(
    input_ids=torch.from_numpy(ids),
    labels=torch.from_numpy(np.where(label == IGNORED, -100, label)),
  ).loss.item()
  tensors = {n: x.detach().numpy() for n, x in model.state_dict().items()}
  outputs = logits_of(config.to_dict(), tensors, ids)
  batch = {"label": label, "mask": np.ones(3, np.float32)}
  task = tasks.masked_lm(50)
  weights = task.weights(batch)
  ours = (task.loss(outputs, batch) * weights).sum() / weights.sum()
  assert float(ours) == pytest.approx(theirs, rel=1e-5)


def test_label_smoothing_of_words():
  pytest.importorskip("transformers")
  from transformers.trainer_pt_utils import LabelSmoother

  draw = np.random.default_rng(0)
  logits = draw.normal(size=(3, 9, 20)).astype(np.float32)
  label = draw.integers(0, 20, (3, 9))
  label = np.where(draw.uniform(size=label.shape) < 0.4, label, IGNORED)
  asked = torch.from_numpy(np.where(label == IGNORED, -100, label))
  theirs = LabelSmoother(0.1)({"logits": torch.from_numpy(logits)}, asked)
  task = tasks.masked_lm(20, label_smoothing=0.1)
  batch = {"label": label, "mask": np.ones(3, np.float32)}
  weights = task.weights(batch)
  each = task.minimised({"logits": logits}, batch)
  ours = (each * weights).sum() / weights.sum()
  assert float(ours) == pytest.approx(theirs.item(), rel=1e-5)


def logits_of(found, tensors, ids):
  """Returns jft's outputs with transformers' weights."""
  import json
  import tempfile

  import jft
  from jft.pretrained.formats import safetensors

  tied = ("cls.predictions.decoder.weight", "cls.predictions.decoder.bias")
  with tempfile.TemporaryDirectory() as folder:
    kept = {n: x.copy() for n, x in tensors.items() if n not in tied}
    safetensors.write(f"{folder}/model.safetensors", kept)
    card = {**found, "model_type": "bert", "architectures": ["BertForMaskedLM"]}
    with open(f"{folder}/config.json", "w") as file:
      json.dump(card, file)
    net = jft.load_pretrained(folder, task="mlm")
  inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
  return net.apply(net.variables, inputs)
