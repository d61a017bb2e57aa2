"""Predictions for files that were in no data set."""

import dataclasses
import pathlib
import types

import jax

from jft import completions, data, evaluation, restored
from jft.build.augment import evaluated
from jft.build.data import in_parts
from jft.build.encode import make_encode
from jft.build.inputs import read_inputs
from jft.build.task import make_task
from jft.errors import UserError
from jft.step import make_predict_step
from jft.typing import Any, Mapping, Sequence


def predict_files(
  workdir: str | pathlib.Path,
  files: Sequence[str],
  *,
  on_error: str = "error",
  generation: Mapping[str, Any] = types.MappingProxyType({}),
) -> tuple[list[dict[str, Any]], list[tuple[str, str]]]:
  """Predicts files with a run's best checkpoint.

  Args:
    workdir: of the run.
    files: images, or files of texts, as the model reads.
    on_error: "error", or "skip" unreadable images.
    generation: of language models: keys of the config's section "generate",
      and "seed", that shall be others than the run's.

  Returns:
    ([{input, ...}], [(skipped file, reason)]): of classes label, probability
    and probabilities, of numbers value, of words tags, probabilities, spans;
    of prompts text, tokens and ended.

  Raises:
    UserError: for a missing run, or a file that cannot be read.
  """
  config, network, label_names, state = restored.best_model(workdir)
  if config.task.name == "causal_lm":
    tuned = dataclasses.replace(network, variables=state.eval_variables)
    config = completions.changed(config, generation)
    return completions.complete_files(config, tuned, files), []
  _check_answers(config, generation)
  names, source, skipped = read_inputs(
    config, network.spec.kind, files, on_error
  )
  if source is None:
    return [], skipped
  encode = make_encode(config, network.spec)
  batches = data.eval_batches(
    in_parts(source, encode),
    min(config.eval.batch_size, len(names)),
    encode,
  )
  task = make_task(config, label_names)
  seen = evaluation.predict(
    jax.jit(make_predict_step(evaluated(config, network), task)),
    state.eval_variables,
    batches,
  )
  rows = task.rows(seen, label_names)
  return [
    {"input": name, **_words(source[i]), **row}
    for i, (name, row) in enumerate(zip(names, rows, strict=True))
  ], skipped


def _check_answers(config: Any, generation: Mapping[str, Any]) -> None:
  if config.task.name == "masked_lm":
    raise UserError(
      "task.name='masked_lm' answers nothing about a text: export the run and"
      " fine-tune what it has made on a task that does."
    )
  if generation:
    raise UserError(
      f"{next(iter(generation))} is of language models; this run's task is"
      f" {config.task.name!r}."
    )


def _words(example: Mapping[str, Any]) -> dict[str, Any]:
  return {"words": list(example["words"])} if "words" in example else {}
