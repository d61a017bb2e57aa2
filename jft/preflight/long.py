"""The long form: every example looked at, and a little training."""

import itertools

import numpy as np

from jft.build import Run
from jft.data import TokenRows
from jft.data.duplicates import matches
from jft.preflight import gradient, images, near, overfit, texts, view
from jft.preflight.finding import Finding, guarded
from jft.preflight.short import quick
from jft.preflight.shown import show
from jft.typing import Batch, Mapping

_TRIES = 8
LIMIT = 100_000
"""Examples of a split that are looked at; of more, an even sample."""


def full(
  run: Run, *, limit: int = LIMIT, steps: int = overfit.STEPS
) -> tuple[Finding, ...]:
  """Checks all there is to check; takes a few minutes at most.

  After `quick`: near duplicates across the splits, unreadable and odd images
  or texts, a view of a batch, the gradient of every leaf in every phase, and
  whether one batch can be learnt by heart.

  Args:
    run: as built; left as it is.
    limit: examples of a split that are read.
    steps: updates on the one batch.
  """
  found = (*quick(run), *guarded("inputs", lambda: _inputs(run, limit)))
  if any(f.level == "error" for f in found):
    return found  # Whatever training would show would have that cause.
  batch = _batch(run)
  return (
    *found,
    *_view(run, batch),
    *guarded("gradient", lambda: gradient.check(run, batch)),
    *guarded("overfit", lambda: overfit.check(run, batch, steps)),
  )


def _batch(run: Run) -> Batch:
  """Returns the first training batch that holds two classes, if one does."""
  batches = map(run.splits.train.batch_at, range(_TRIES))
  first = next(batches)
  every = itertools.chain([first], batches)
  mixed = (b for b in every if len(np.unique(b["label"])) > 1)
  return next(mixed, first)


def _inputs(run: Run, limit: int) -> list[Finding]:
  sources = run.splits.sources
  index = {split: _spread(len(s), limit) for split, s in sources.items()}
  found = _sampled(run, index)
  tokenizer = run.splits.tokenizer
  if tokenizer is not None:
    read = {
      split: texts.survey(source, index[split], tokenizer)
      for split, source in sources.items()
    }
    chats = isinstance(run.splits.train.source, TokenRows)  # told by "labels"
    found += texts.check(sources, read, None if chats else tokenizer.max_length)
    return found + near.of_texts(sources, read)
  side = int(np.shape(run.splits.train.batch_at(0)["image"])[1])
  looked = {
    split: images.survey(source, index[split])
    for split, source in sources.items()
  }
  found += images.check(sources, looked, side)
  return found + near.of_images(sources, looked, _equal(run))


def _equal(run: Run) -> dict[str, set[int]]:
  """{split: its examples whose very bytes training has}."""
  hashed = run.splits.digests
  train = hashed["train"].rows
  return {
    split: set(found.index[matches(found.rows, train) >= 0].tolist())
    for split, found in hashed.items()
    if split != "train"
  }


def _view(run: Run, batch: Batch) -> list[Finding]:
  source, tokenizer = run.splits.train.source, run.splits.tokenizer
  return view.check(
    batch,
    lambda label: run.task.answer(label, run.label_names),
    lambda i: show(source, i),
    spec=run.net.spec,
    token=tokenizer.encoder.id_to_token if tokenizer else None,
  )


def _spread(n: int, limit: int) -> np.ndarray:
  return np.unique(np.linspace(0, n - 1, min(n, limit)).astype(np.int64))


def _sampled(run: Run, index: Mapping[str, np.ndarray]) -> list[Finding]:
  parts = [
    f"{len(index[split]):,} of {len(source):,} {split}"
    for split, source in run.splits.sources.items()
    if len(index[split]) < len(source)
  ]
  if not parts:
    return []
  return [
    Finding("inputs", "note", f"looked at {', '.join(parts)} examples only.")
  ]
