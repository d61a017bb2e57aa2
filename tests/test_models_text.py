"""Text encoders of every family and task: the numbers of transformers."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from golden import text as case
from golden import text_cases
from variants import some

import jft
from jft import families, tree
from jft.errors import UserError
from jft.models.head import Head
from jft.pretrained import export

TOLERANCE = 1e-4
CASES = [
  (family, task)
  for family in text_cases.SETTINGS
  for task in text_cases.CLASSES
]
KEY = jax.random.key(0)


def module(family, num_classes, **changes):
  """Returns a tiny module, its variables and the golden's inputs."""
  known = families.FAMILIES[family]
  config = known.from_hf(text_cases.SETTINGS[family])
  config = dataclasses.replace(config, **changes)
  made = known.module(config, num_classes)
  inputs = text_cases.inputs(family)
  shapes = jax.eval_shape(made.init, KEY, inputs)
  rng = np.random.default_rng(0)
  drawn = jax.tree.map(
    lambda x: rng.normal(0, 0.3, x.shape).astype(x.dtype), shapes
  )
  return made, drawn, inputs


@pytest.mark.parametrize(
  ("family", "task"),
  some(
    CASES,
    *(("roberta", "classification"), ("distilbert", "tokens"), ("bert", "mlm")),
  ),
)
def test_a_saved_model_computes_what_it_did(family, task, tmp_path):
  """Its own head and copies included, and back under the original's names."""
  made = case.load(tmp_path, family, task)
  assert made.spec.config.task == task
  golden = case.read(family, task)
  got = case.computed(made, family, task)
  case.assert_close(got, case.numbers(golden), TOLERANCE)
  dialect = families.FAMILIES[family].dialects[0]
  table = dialect.table(made.spec.config, {})
  arrays = export.to_source(tree.flatten(made.variables), table)
  want = case.tensors(golden)
  copies = {str(name) for name in golden["copies"]}
  assert copies == set(dialect.ties(made.spec.config) or {})
  assert arrays.keys() == want.keys() - copies
  for name, array in arrays.items():
    np.testing.assert_array_equal(array, want[name])
  rows = {r.source: r for r in made.report.rows if r.status == "dropped"}
  assert rows.keys() == copies
  assert all("tied to" in row.reason for row in rows.values())


@pytest.mark.parametrize(
  ("family", "task"),
  some(CASES, ("roberta", "classification"), ("distilbert", "tokens")),
)
def test_a_new_head_takes_the_place_of_the_old(family, task, tmp_path):
  outputs = 40 if task == "mlm" else 3
  options = {"num_classes": outputs, "key": KEY}
  made = case.load(tmp_path, family, task, **options)
  counts = made.report.counts()
  heads = {r.name for r in made.report.rows if r.status == "reinit"}
  own_layers = task == "classification" and family != "bert"
  assert counts["reinit"] == {"mlm": 5}.get(task, 4 if own_layers else 2)
  assert all(name.startswith("params/head/") for name in heads)
  inputs = text_cases.inputs(family)
  logits = jax.eval_shape(made.apply, made.variables, inputs)["logits"]
  shape = (3, outputs) if task == "classification" else (3, 9, outputs)
  assert logits.shape == shape
  bare = case.load(tmp_path, family, task, num_classes=0)
  assert "logits" not in jax.eval_shape(bare.apply, bare.variables, inputs)


@pytest.mark.parametrize("preset", text_cases.PRESETS)
def test_presets_have_the_originals_names_and_shapes(preset):
  assert case.own_preset(preset) == case.preset(preset)


def test_every_preset_is_compared():
  names = [n for f in text_cases.SETTINGS for n in families.FAMILIES[f].presets]
  assert sorted(names) == sorted(text_cases.PRESETS)


def test_a_copy_that_differs_is_an_error(tmp_path):
  arrays = case.tensors(case.read("roberta", "mlm"))
  arrays["lm_head.decoder.weight"][3, 2] += 1
  case.write(tmp_path, "roberta", "mlm", arrays)
  with pytest.raises(UserError, match=r"lm_head\.decoder\.weight .* must repe"):
    jft.load_pretrained(str(tmp_path), task="mlm")
  # The words are needed, their copy is not.
  found = jft.load_pretrained(str(tmp_path), num_classes=0)
  assert found.report.counts()["dropped"] == 7


def test_a_larger_vocabulary_reaches_the_words_scores(tmp_path):
  made = case.load(tmp_path, "bert", "mlm", vocab_size=43)
  head = made.params["head"]
  assert head["bias"].shape == (43,)
  np.testing.assert_allclose(head["bias"][42], head["bias"][:40].mean(), 1e-5)
  logits = jax.eval_shape(
    made.apply, made.variables, text_cases.inputs("bert")
  )["logits"]
  assert logits.shape == (3, 9, 43)


def test_a_sequence_classifier_is_no_classifier_of_tokens(tmp_path):
  for family, left in (("roberta", "classifier.dense"), ("distilbert", "pre_")):
    arrays = case.tensors(case.read(family, "classification"))
    case.write(tmp_path, family, "classification", arrays)
    with pytest.raises(UserError, match=left):
      jft.load_pretrained(str(tmp_path), task="tokens")


def test_a_source_without_a_pooler_says_what_to_do(tmp_path):
  arrays = case.tensors(case.read("bert", "mlm"))
  case.write(tmp_path, "bert", "mlm", arrays)
  with pytest.raises(UserError, match=r'no pooler.*pooling="mean"'):
    jft.load_pretrained(str(tmp_path), num_classes=2, key=KEY)


def test_only_the_words_can_be_scored():
  made, drawn, inputs = module("bert", 40, task="mlm")
  assert jax.eval_shape(made.apply, drawn, inputs)["logits"].shape[-1] == 40
  for head in (7, Head(40, widths=(3,))):
    wrong = made.clone(num_classes=head)
    with pytest.raises(UserError, match="are the 40 words, got num_classes="):
      jax.eval_shape(wrong.init, KEY, inputs)


@pytest.mark.parametrize("family", text_cases.SETTINGS)
def test_a_head_of_another_kind_is_just_that(family):
  made, drawn, inputs = module(family, Head(4))
  assert drawn["params"]["head"]["kernel"].shape == (24, 4)
  made, drawn, inputs = module(family, Head(4), task="tokens")
  assert jax.eval_shape(made.apply, drawn, inputs)["logits"].shape == (3, 9, 4)


def test_normalized_features_have_length_one_and_the_head_reads_them_before():
  made, drawn, inputs = module("bert", 2, pooling="mean", depth=1)
  run = case.jit(lambda v: made.apply(v, inputs))
  plain, config = run(drawn), dataclasses.replace(made.config, normalize=True)
  unit = made.clone(config=config)
  scaled = case.jit(lambda v: unit.apply(v, inputs))(drawn)
  np.testing.assert_array_equal(scaled["logits"], plain["logits"])
  length = np.linalg.norm(plain["features"], axis=1, keepdims=True)
  np.testing.assert_allclose(
    scaled["features"], plain["features"] / length, rtol=1e-5
  )


def test_features_of_nothing_have_a_gradient():
  made, drawn, inputs = module(
    "bert", None, pooling="mean", normalize=True, depth=1
  )
  inputs = inputs | {"attention_mask": jnp.zeros((3, 9), jnp.int32)}
  grads = case.jit(jax.grad(lambda v: made.apply(v, inputs)["features"].sum()))(
    drawn
  )
  assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(grads))


def test_models_without_segments_do_not_look_at_them():
  for family in ("roberta", "distilbert"):
    made, drawn, inputs = module(family, None, depth=1)
    run = case.jit(made.apply)
    ones = np.ones_like(inputs["input_ids"])
    np.testing.assert_array_equal(
      run(drawn, inputs)["hidden"],
      run(drawn, inputs | {"token_type_ids": ones})["hidden"],
    )


@pytest.mark.parametrize(
  ("family", "task", "rates"),
  [
    # Before the dense layer and before the last; DistilBERT's is the last's.
    ("bert", "classification", [0.5]),
    ("roberta", "classification", [0.5, 0.5]),
    ("distilbert", "classification", [0.0, 0.5]),
    ("bert", "tokens", [0.5, 0.0]),
    ("roberta", "tokens", [0.5, 0.0]),
    ("distilbert", "tokens", [0.25, 0.0]),
    ("bert", Head(3, dropout=0.125), [0.0, 0.125]),  # its own, not both
  ],
)
def test_dropout_of_the_heads(family, task, rates, monkeypatch):
  """The order of rates that the head's part asks for, by the originals."""
  head, task = (3, task) if isinstance(task, str) else (task, "classification")
  made, drawn, inputs = module(
    family,
    head,
    task=task,
    dropout=0.25,
    attention_dropout=0.0,
    head_dropout=0.5,
    depth=1,
  )
  seen = []
  original = nn.Dropout.__call__

  def call(self, *args, **kwargs):
    seen.append(self.rate)
    return original(self, *args, **kwargs)

  monkeypatch.setattr(nn.Dropout, "__call__", call)
  rngs = {"dropout": KEY}
  jax.eval_shape(lambda v: made.apply(v, inputs, train=True, rngs=rngs), drawn)
  # Before them: embeddings and both branches; attention at rate 0 asks none.
  assert [r for r in seen[3:] if r] == [r for r in rates if r]
