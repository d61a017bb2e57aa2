"""Records what seqeval says of random tags: tests/golden/spans.json.

  pip install seqeval
  python tests/golden/make_spans.py

The tags hold all that files do: IOB1, IOB2, and I- after another type.
"""

import json
import pathlib
import random
from importlib import metadata

from seqeval import metrics
from seqeval.metrics.sequence_labeling import get_entities

TAGS = ("O", "O", "B-per", "I-per", "B-loc", "I-loc", "I-org", "B-work-of-art")
SHARES = ("precision", "recall", "f1-score")


def main() -> None:
  draw = random.Random(0)
  true = [draw.choices(TAGS, k=draw.randint(1, 12)) for _ in range(60)]
  # Half of the tags are guessed right.
  guess = [
    [tag if draw.random() < 0.6 else draw.choice(TAGS) for tag in row]
    for row in true
  ]
  found = metrics.classification_report(
    true, guess, output_dict=True, zero_division=0
  )
  rows = {
    name: {**{k: float(row[k]) for k in SHARES}, "support": int(row["support"])}
    for name, row in found.items()
    if name not in ("macro avg", "weighted avg")
  }
  path = pathlib.Path(__file__).with_suffix("").with_name("spans.json")
  path.write_text(
    json.dumps(
      {
        "seqeval": metadata.version("seqeval"),
        "true": true,
        "predicted": guess,
        "spans": [
          [[k, int(a), int(b) + 1] for k, a, b in get_entities(r)] for r in true
        ],
        "report": rows,
      }
    )
    + "\n"
  )


if __name__ == "__main__":
  main()
