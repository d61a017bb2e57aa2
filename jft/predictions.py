"""Predictions for files that were in no data set."""

import pathlib

import jax

from jft import data, evaluation, restored
from jft.build.data import make_encode, read_inputs
from jft.build.task import make_task
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
    ([{input, ...}], [(skipped file, reason)]): of classes label, probability
    and probabilities, of numbers value.

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
  task = make_task(config)
  seen = evaluation.predict(
    jax.jit(make_predict_step(network.apply, task)), state.variables, batches
  )
  rows = task.rows(seen.outputs, label_names)
  return [
    {"input": name, **row} for name, row in zip(names, rows, strict=True)
  ], skipped
