"""What a run's model sees of its training examples: before and after."""

import dataclasses

import jax
import numpy as np

from jft import rng
from jft.build import Run
from jft.data.source import where
from jft.errors import UserError
from jft.typing import Any, Batch, Sequence


@dataclasses.dataclass(frozen=True)
class Picture:
  """One picture of the sheet.

  Attributes:
    pixels: Float["h w c"], values 0 to 1.
    label: what it is said to show.
  """

  pixels: np.ndarray
  label: str


def pictures(run: Run, rows: int, columns: int) -> list[list[Picture]]:
  """Returns examples of the first batch, each as it is and then as augmented.

  Args:
    run: as built, of images.
    rows: examples; fewer where a batch has less.
    columns: how often each is drawn anew, as in so many epochs.
  """
  first = run.splits.train.batch_at(0)
  plain = {**first, **_plain(run, first["id"])}
  seen = [plain, *(_seen(run, first, turn) for turn in range(columns))]
  return [
    [
      Picture(_shown(run, batch["image"][row]), _answer(run, batch, row))
      for batch in seen
    ]
    for row in range(min(rows, len(first["id"])))
  ]


def lines(run: Run, rows: int) -> list[str]:
  """Returns examples of the first batch, before and after, as lines of tokens.

  A token that is hidden from the model is shown as underscores.

  Args:
    run: as built, of texts.
    rows: examples; fewer where a batch has less.
  """
  first = run.splits.train.batch_at(0)
  before = {**first, **run.splits.train.examples.take(first["id"])}
  width = max(run.splits.train.buckets or (before["input_ids"].shape[-1],))
  given, after = (
    _taken(run, first, 0, width),
    _seen(run, first, 0, width),
  )
  source, told = run.splits.sources["train"], []
  for row in range(min(rows, len(first["id"]))):
    told += [
      f"{where(source, int(first['id'][row]))} -> {_answer(run, before, row)}",
      f"  before  {_text(run, before, before, row)}",
      f"  after   {_text(run, after, given, row)}",
    ]
  return told


def changes(run: Run, config: Any) -> bool:
  """Is anything changed in training?

  Args:
    run, config: as built, and what of.
  """
  host = config.data.augment != "none" or config.augment.synonyms
  return bool(host) or run.augment is not None


def refuse_none(run: Run, config: Any) -> None:
  """Raises UserError where there is nothing to show."""
  if not changes(run, config):
    raise UserError(
      "nothing is augmented: give augment.images=('flip', 'rand_augment'),"
      " augment.mixup or augment.word_dropout, for example."
    )


def _plain(run: Run, ids: np.ndarray) -> Batch:
  """The examples as evaluation sees them: no part, no mirror image."""
  val: Any = run.splits.evals["val"].examples
  source = run.splits.sources["train"]
  images = [val.encode(source[int(i)])["image"] for i in ids]
  return {"image": np.stack(images)}


def _taken(run: Run, first: Batch, turn: int, width: int | None) -> Batch:
  """The examples as they reach the device in some epoch."""
  epochs = np.full(len(first["id"]), turn)
  taken = run.splits.train.examples.take(first["id"], width, epochs=epochs)
  return {**first, **taken}


def _seen(run: Run, first: Batch, turn: int, width: int | None = None) -> Batch:
  """The examples as the model gets them at some step."""
  batch = _taken(run, first, turn, width)
  if run.augment is None:
    return batch
  stream = rng.substream(run.state.key, "augment")
  changed = jax.jit(run.augment)(rng.at(stream, turn), batch)
  return jax.device_get(changed)


def _shown(run: Run, image: np.ndarray) -> np.ndarray:
  spec = run.net.spec
  return np.clip(np.asarray(image) * spec.std + spec.mean, 0, 1)


def _answer(run: Run, batch: Batch, row: int) -> str:
  label = np.asarray(batch["label"][row])
  if label.ndim == 0 or label.dtype.kind != "f":
    return run.task.answer(label, run.label_names)
  return shares(label, run.label_names)


def shares(label: np.ndarray, names: Sequence[str]) -> str:
  """Returns the classes that have a share, the greatest first.

  >>> shares(np.array([0.25, 0.0, 0.75]), ["ant", "bee", "cat"])
  'cat 0.75, ant 0.25'
  """
  order = np.argsort(-label, kind="stable")
  told = [f"{names[i]} {label[i]:.2f}" for i in order if label[i] >= 0.005]
  return ", ".join(told) if len(told) > 1 else str(names[order[0]])


def _text(run: Run, batch: Batch, given: Batch, row: int) -> str:
  assert run.splits.tokenizer is not None
  ids = np.asarray(batch["input_ids"][row]).reshape(-1)
  seen = np.asarray(batch["attention_mask"][row]).reshape(-1)
  real = np.asarray(given["attention_mask"][row]).reshape(-1)
  token = run.splits.tokenizer.encoder.id_to_token
  return " ".join(
    str(token(int(i))) if s else "_" * len(str(token(int(i))))
    for i, s, r in zip(ids, seen, real, strict=True)
    if r
  )
