"""What `run.json` says of a run: model, data and what is trained."""

import dataclasses
import pathlib

from jft import digests, distill
from jft.build.data import Splits
from jft.build.encode import preprocessing
from jft.build.surgical import Choice
from jft.build.tuning import Tuning
from jft.net import Net
from jft.tuning import freeze, quantized
from jft.typing import Any


def facts(
  config: Any, network: Net, tuning: Tuning, splits: Splits, choice: Choice
) -> dict[str, Any]:
  """Returns what `run.json` says of a run besides its config.

  Args:
    config: of the run.
    network: as loaded.
    tuning: what is trained of it.
    splits: the data.
    choice: of "surgical", if that is asked for.
  """
  rows = freeze.table(network.params, tuning.labels, tuning.transforms)
  spec = network.spec
  return {
    "model": {
      "family": spec.family,
      "preset": spec.preset,
      "kind": spec.kind,
      "source": spec.source,
      "sha256": spec.sha256,
      "num_classes": spec.num_classes,
      "label_names": list(splits.label_names),
      "params": quantized.count(distill.student(network.params)),
      "preprocessing": preprocessing(config, spec),
    },
    "tokenizer": _tokenizer(spec.tokenizer),
    "load": network.report.as_dict()["rows"],
    "freeze": [dataclasses.asdict(row) for row in rows],
    "phases": [
      {"start_step": p.start_step, "labels": sorted(p.labels)}
      for p in tuning.phases
    ],
    "surgical": choice.as_json(),
    "data": splits.describe(),
  }


def _tokenizer(path: pathlib.Path | None) -> dict[str, str] | None:
  if path is None:
    return None
  return {"name": path.name, "sha256": digests.file_sha256(path)}
