"""Predictions for files that were in no data set."""

import pathlib

import jax
import numpy as np

from jft import data, evaluation, restored
from jft.build.data import make_encode, read_inputs
from jft.step import make_predict_step
from jft.typing import Any, Sequence


def predict_files(
  workdir: str | pathlib.Path,
  files: Sequence[str],
  *,
  on_error: str = "error",
) -> tuple[list[dict[str, Any]], list[tuple[str, str]]]:
  """Predicts files with a run's best checkpoint.

  Args:
    workdir: of the run.
    files: images, or files of texts, as the model reads.
    on_error: "error", or "skip" unreadable images.

  Returns:
    ([{input, label, probability, probabilities}], [(skipped file, reason)]).

  Raises:
    UserError: for a missing run, or a file that cannot be read.
  """
  config, network, label_names, state = restored.best_model(workdir)
  names, source, skipped = read_inputs(
    config, network.spec.kind, files, on_error
  )
  if source is None:
    return [], skipped
  batches = data.eval_batches(
    source,
    min(config.eval.batch_size, len(names)),
    make_encode(config, network.spec),
  )
  seen = evaluation.predict(
    jax.jit(make_predict_step(network.apply)),
    state.variables,
    batches,
  )
  rows = [
    _row(name, probabilities, label_names)
    for name, probabilities in zip(names, _softmax(seen.logits), strict=True)
  ]
  return rows, skipped


def _softmax(logits: np.ndarray) -> np.ndarray:
  shifted = np.exp(logits - logits.max(-1, keepdims=True), dtype=np.float64)
  return shifted / shifted.sum(-1, keepdims=True)


def _row(
  name: str, probabilities: np.ndarray, label_names: Sequence[str]
) -> dict[str, Any]:
  best = int(probabilities.argmax())
  return {
    "input": name,
    "label": label_names[best],
    "probability": round(float(probabilities[best]), 6),
    "probabilities": {
      label: round(float(p), 6)
      for label, p in zip(label_names, probabilities, strict=True)
    },
  }
