"""What a model's own card says, in each of the forms that cards have."""

import dataclasses
import json

import pytest

from jft.insight.origin import Origin, origin
from jft.pretrained import hub


def located(folder, config=None, **files):
  (folder / "model.safetensors").write_bytes(b"")
  (folder / "config.json").write_text(json.dumps(config or {}))
  for name, text in files.items():
    (folder / f"{name}.md").write_text(text)
  return hub.locate(folder)


def test_a_card_of_hugging_face(tmp_path):
  card = (
    "---\nlanguage: en\nlicense: apache-2.0\ntags: [a, b]\n"
    "datasets:\n- imdb\n- {no: text}\nbase_model: org/base\n---\n# Title\n"
  )
  assert origin(located(tmp_path, README=card)) == Origin(
    card="README.md",
    licence="apache-2.0",
    trained_on=("imdb",),
    base=("org/base",),
    language=("en",),
    tags=("a", "b"),
  )


def test_another_licence_has_a_name(tmp_path):
  card = "---\nlicense: other\nlicense_name: llama3\n---\n"
  assert origin(located(tmp_path, README=card)).licence == "llama3"


def test_the_card_of_a_model_that_jft_ships():
  found = origin(hub.locate("jft:resnet14_mnist"))
  assert found.card == "resnet14_mnist.md"
  assert found.trained_on[0].startswith("mnist/train/train (8,441 examples")
  assert found.licence.startswith("Apache-2.0. The data: MNIST")
  assert found.result == "test accuracy 0.9815 on 1,027 examples"


def test_timms_config(tmp_path):
  config = {
    "architecture": "resnet50",
    "pretrained_cfg": {"tag": "a1_in1k", "license": "apache-2.0"},
  }
  found = origin(located(tmp_path, config))
  assert found == Origin("config.json", "apache-2.0", tags=("a1_in1k",))
  # What a README says on top of it.
  found = origin(located(tmp_path, config, README="---\nlicense: mit\n---\n"))
  assert (found.licence, found.tags) == ("mit", ("a1_in1k",))


def test_no_card(tmp_path):
  assert origin(located(tmp_path)) == Origin()
  # A README beside one of many files may be of anything.
  (tmp_path / "README.md").write_text("---\nlicense: mit\n---\n")
  (tmp_path / "resnet18.pth").write_bytes(b"")
  assert origin(hub.locate(tmp_path / "resnet18.pth")) == Origin()


@pytest.mark.parametrize(
  "card",
  [
    "---\nlicense: [a\n---\n",
    "---\nonly words\n---\n",
    "---\na: &x [1]\nb: *y\n---\n",
  ],
)
def test_a_bad_card_is_told_and_no_error(tmp_path, card):
  found = origin(located(tmp_path, README=card))
  assert found.card == "README.md"
  assert found.problem != ""
  assert dataclasses.replace(found, card="", problem="") == Origin()


@pytest.mark.parametrize("card", ["", "---\n---\n", "# Title\n", "---\n"])
def test_a_card_that_says_nothing(tmp_path, card):
  assert origin(located(tmp_path, README=card)) == Origin("README.md")


def test_nothing_for_the_terminal_to_act_on(tmp_path):
  card = '---\nlicense: "a\\e[2Jb\\nc"\n---\n'
  assert origin(located(tmp_path, README=card)).licence == "a?[2Jb c"
