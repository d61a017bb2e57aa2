"""Text decoders of every family: the numbers of transformers, and packing."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from golden import decoder_cases
from golden import decoders as golden
from variants import some

import jft
from jft import families, tree
from jft.errors import UserError
from jft.models.cache import init_cache
from jft.models.head import Head
from jft.pretrained import export

TOLERANCE = 1e-4
KEY = jax.random.key(0)
OF_WORDS = [
  c for c in decoder_cases.CASES if not decoder_cases.is_classifier(c)
]
# A case of every family, with sliding blocks where it has them.
ONE_EACH = ("qwen2", "gpt2", "gemma3")


@pytest.mark.parametrize(
  "case",
  some(decoder_cases.CASES, *ONE_EACH, "qwen3_classifier"),
)
def test_a_saved_model_computes_what_it_did(case, tmp_path):
  """Its own head included, and back under the original's names."""
  net = golden.load(tmp_path, case)
  want = golden.read(case)
  got = golden.computed(net, case)
  golden.assert_close(got, golden.numbers(want), TOLERANCE)
  dialect = families.FAMILIES[net.spec.family].dialects[0]
  table = dialect.table(net.spec.config, {})
  arrays = export.to_source(tree.flatten(net.variables), table)
  source = golden.tensors(want)
  copies = {str(name) for name in want["copies"]}
  assert copies == set(dialect.ties(net.spec.config) or {})
  assert arrays.keys() == source.keys() - copies
  for name, array in arrays.items():
    np.testing.assert_array_equal(array, source[name])
  dropped = {r.source for r in net.report.rows if r.status == "dropped"}
  assert dropped == copies


@pytest.mark.parametrize("case", some(OF_WORDS, "gpt2", "gemma3"))
def test_a_greedy_loop_over_the_cache_says_what_transformers_says(
  case, tmp_path
):
  net = golden.load(tmp_path, case)
  got = golden.continued(net, case)
  np.testing.assert_array_equal(got, golden.read(case)["continued"])


@pytest.mark.parametrize(
  ("case", "remat"),
  some(
    [(case, remat) for case in ONE_EACH for remat in (0, 1)],
    ("gemma3", 1),
  ),
)
def test_scanned_blocks_compute_the_same(case, remat, tmp_path):
  net = golden.load(tmp_path, case)
  got = golden.computed(net, case, scan=True, remat=remat)
  want = golden.numbers(golden.read(case))
  del want["block_00"]
  golden.assert_close(got, want, TOLERANCE)


@pytest.mark.parametrize(
  ("case", "scan"),
  some(
    [(case, scan) for case in ONE_EACH for scan in (False, True)],
    ("gemma3", True),
  ),
)
def test_the_cache_changes_nothing(case, scan, tmp_path):
  """Five tokens at once, then one by one, with padding on either side."""
  net = golden.load(tmp_path, case, scan=scan)
  inputs = decoder_cases.inputs(case)
  run, parts = golden.jit(net.apply), []
  want = run(net.variables, inputs)["logits"]
  cache = init_cache(net.spec.config, 3, 12)
  for part in (slice(0, 5), *(slice(i, i + 1) for i in range(5, 9))):
    some = {name: x[:, part] for name, x in inputs.items()}
    outputs = run(net.variables, {**some, "cache": cache})
    cache = outputs["cache"]
    parts.append(outputs["logits"])
  mask = inputs["attention_mask"][..., None]
  got = np.concatenate(parts, axis=1) * mask
  assert golden.error(got, np.asarray(want * mask)) < 1e-5
  assert int(cache["index"]) == 9
  np.testing.assert_array_equal(cache["mask"][:, :9], mask[..., 0] > 0)


@pytest.mark.parametrize("case", some(ONE_EACH, "gemma3"))
def test_words_are_scored_at_the_columns_asked_for(case, tmp_path):
  net = golden.load(tmp_path, case)
  inputs = decoder_cases.inputs(case)
  at = np.array([[8, 0], [3, 3], [5, 7]])
  run = golden.jit(net.apply)
  every = np.asarray(run(net.variables, inputs)["logits"])
  got = run(net.variables, inputs | {"logits_at": at})["logits"]
  want = np.take_along_axis(every, at[..., None], axis=1)
  np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)
  with pytest.raises(
    UserError, match=r"logits_at \[b k\], of 3 rows, got \[8\]"
  ):
    net.apply(net.variables, inputs | {"logits_at": at[0].repeat(4)})


@pytest.mark.parametrize("case", some(ONE_EACH, "gemma3"))
def test_packed_texts_do_not_see_each_other(case, tmp_path):
  net = golden.load(tmp_path, case)
  rng = np.random.default_rng(0)
  ids = rng.integers(1, 40, (1, 9), np.int32)
  segments = np.array([[1, 1, 1, 1, 2, 2, 2, 0, 0]])
  run = golden.jit(net.apply)
  packed = {"input_ids": ids, "attention_mask": (segments > 0).astype(np.int32)}
  packed["segment_ids"] = segments
  got = run(net.variables, packed)["logits"]
  positions = np.array([[0, 1, 2, 3, 0, 1, 2, 0, 0]])
  said = run(net.variables, packed | {"positions": positions})["logits"]
  np.testing.assert_array_equal(got[:, :7], said[:, :7])
  for part in (slice(0, 4), slice(4, 7)):
    alone = {"input_ids": ids[:, part], "attention_mask": 0 * ids[:, part] + 1}
    want = np.asarray(run(net.variables, alone)["logits"])
    assert golden.error(got[:, part], want) < 1e-5


@pytest.mark.parametrize("case", some(ONE_EACH, "qwen2"))
def test_a_new_head_is_one_of_classes(case, tmp_path):
  inputs = decoder_cases.inputs(case)
  net = golden.load(tmp_path, case, num_classes=3, key=KEY)
  assert net.spec.config.task == "classification"
  assert net.params["head"].keys() == {"kernel"}  # as transformers' score
  shape = jax.eval_shape(net.apply, net.variables, inputs)["logits"].shape
  assert shape == (3, 3)
  net = golden.load(tmp_path, case, num_classes=Head(3), key=KEY)
  assert net.params["head"].keys() == {"kernel", "bias"}
  net = golden.load(tmp_path, case, num_classes=0)
  outputs = jax.eval_shape(net.apply, net.variables, inputs)
  assert outputs.keys() == {"hidden", "features"}


@pytest.mark.parametrize("case", some(ONE_EACH, "qwen2"))
def test_features_are_of_the_last_token_or_the_mean(case, tmp_path):
  inputs = decoder_cases.inputs(case)
  net = golden.load(tmp_path, case, num_classes=0)
  out = golden.jit(net.apply)(net.variables, inputs)
  last = np.asarray(out["hidden"])[np.arange(3), [8, 5, 8]]
  np.testing.assert_array_equal(out["features"], last)
  net = golden.load(tmp_path, case, num_classes=0, pooling="mean")
  out = golden.jit(net.apply)(net.variables, inputs)
  mask = inputs["attention_mask"][..., None]
  mean = (out["hidden"] * mask).sum(1) / mask.sum(1)
  np.testing.assert_allclose(out["features"], mean, rtol=1e-5)


@pytest.mark.parametrize("preset", decoder_cases.PRESETS)
def test_presets_have_the_originals_names_and_shapes(preset):
  assert golden.own_preset(preset) == golden.preset(preset)


@pytest.mark.parametrize("preset", decoder_cases.PRESETS)
def test_presets_are_what_their_published_configs_say(preset):
  title, settings = decoder_cases.PRESETS[preset]
  known = families.FAMILIES[decoder_cases.preset_family(preset)]
  found = {"model_type": decoder_cases.MODEL_TYPES[title], **settings}
  assert known.from_hf(found) == known.presets[preset]


def test_every_preset_is_compared_and_no_two_are_one():
  configs = {}
  for family in decoder_cases.FAMILIES:
    for name, config in families.FAMILIES[family].presets.items():
      assert name in decoder_cases.PRESETS
      assert configs.setdefault((family, config), name) == name


def test_a_larger_vocabulary_reaches_the_scores(tmp_path):
  net = golden.load(tmp_path, "llama", vocab_size=43)
  kernel = net.params["head"]["kernel"]
  assert kernel.shape == (24, 43)
  mean = kernel[:, :40].mean(axis=1)
  np.testing.assert_allclose(kernel[:, 42], mean, rtol=1e-4, atol=1e-6)
  inputs = decoder_cases.inputs("llama")
  logits = jax.eval_shape(net.apply, net.variables, inputs)["logits"]
  assert logits.shape == (3, 9, 43)


def test_blocks_that_are_kept_keep_their_kind(tmp_path):
  net = golden.load(tmp_path, "qwen2", keep_blocks=[1])
  assert net.spec.config.layer_types == ("sliding",)
  net = golden.load(tmp_path, "qwen2", keep_blocks=[0, 1, 1])
  assert net.spec.config.layer_types == ("full", "sliding", "sliding")


@pytest.mark.slow
def test_a_fresh_language_model_knows_its_words():
  net = jft.init("stories260k", key=KEY, depth=1)
  assert net.spec.num_classes == 512
  net = jft.init("stories260k", key=KEY, depth=1, num_classes=2)
  assert net.spec.config.task == "classification"


def test_a_copy_that_differs_is_an_error(tmp_path):
  arrays = golden.tensors(golden.read("llama_tied"))
  arrays["lm_head.weight"][3, 2] += 1
  golden.write(tmp_path, "llama_tied", arrays)
  with pytest.raises(UserError, match=r"lm_head\.weight .* must repeat"):
    jft.load_pretrained(str(tmp_path))
  net = jft.load_pretrained(str(tmp_path), num_classes=0)
  assert net.report.counts()["dropped"] == 1


def test_a_classifier_that_says_nothing_of_it_is_an_error(tmp_path):
  arrays = golden.tensors(golden.read("qwen3_classifier"))
  golden.write(tmp_path, "qwen3_classifier", arrays, architectures=None)
  with pytest.raises(UserError, match='load it with task="classification"'):
    jft.load_pretrained(str(tmp_path))
  net = jft.load_pretrained(str(tmp_path), task="classification")
  assert net.spec.num_classes == 5


def net_of(**changes):
  config = families.FAMILIES["llama"].presets["stories260k"]
  config = dataclasses.replace(config, depth=1, **changes)
  module = families.FAMILIES["llama"].module(config, config.vocab_size)
  ids = jnp.ones((2, 4), jnp.int32)
  return module, {"input_ids": ids, "attention_mask": ids}


@pytest.mark.parametrize(
  ("change", "message"),
  [
    ({"attention_mask": None}, "expects a dict with input_ids and attention"),
    ({"segment_ids": (2, 3)}, "segment_ids of the same shape"),
    ({"positions": (2, 3)}, "positions of the same shape"),
  ],
)
def test_inputs_that_do_not_fit(change, message):
  module, inputs = net_of()
  for name, shape in change.items():
    inputs.pop(name, None)
    if shape:
      inputs[name] = jnp.ones(shape, jnp.int32)
  with pytest.raises(UserError, match=message):
    jax.eval_shape(module.init, KEY, inputs)


def test_texts_and_heads_that_do_not_fit():
  module, inputs = net_of(max_tokens=3)
  with pytest.raises(UserError, match="reads at most 3 tokens, got 4"):
    jax.eval_shape(module.init, KEY, inputs)
  module, inputs = net_of()
  with pytest.raises(UserError, match="are the 512 words, got num_classes=7"):
    jax.eval_shape(module.clone(num_classes=7).init, KEY, inputs)


def test_caches_that_do_not_fit():
  module, inputs = net_of()
  config = module.config
  with pytest.raises(UserError, match="length from 1 to 512, got 2 and 513"):
    init_cache(config, 2, 513)
  shapes = jax.eval_shape(module.init, KEY, inputs)

  def run(cache, **more):
    given = inputs | more | {"cache": cache}
    return jax.eval_shape(lambda v: module.apply(v, given), shapes)

  with pytest.raises(UserError, match="3 columns, 0 of them used, got 4"):
    run(init_cache(config, 2, 3))
  with pytest.raises(UserError, match="holds 1 rows"):
    run(init_cache(config, 1, 8))
  with pytest.raises(UserError, match="none of this Llama of 1 blocks"):
    run({"index": 0})
  with pytest.raises(UserError, match="leave out segment_ids"):
    run(init_cache(config, 2, 8), segment_ids=inputs["input_ids"])


def test_a_cache_that_overflows_gives_no_numbers():
  """Inside a compiled loop only the run can tell."""
  module, inputs = net_of()
  variables = golden.jit(module.init)(KEY, inputs)
  run = golden.jit(module.apply)
  first = run(variables, inputs | {"cache": init_cache(module.config, 2, 6)})
  assert np.isfinite(first["logits"]).all()
  second = run(variables, inputs | {"cache": first["cache"]})
  assert np.isnan(second["logits"]).all()


def test_dropout_needs_a_key_and_changes_the_numbers():
  module, inputs = net_of(dropout=0.5, attention_dropout=0.5)
  variables = golden.jit(module.init)(KEY, inputs)
  for made in (module, module.clone(scan=True)):

    @golden.jit
    def run(seed, made=made):
      rngs = {"dropout": jax.random.key(seed)}
      return made.apply(variables, inputs, train=True, rngs=rngs)["hidden"]

    np.testing.assert_array_equal(run(0), run(0))
    assert not np.allclose(run(0), run(1))


@pytest.mark.slow
def test_fresh_weights_are_drawn_as_the_original_draws_them():
  net = jft.init("stories260k", key=KEY, depth=2, init_std=0.5)
  flat = tree.flatten(net.params)
  for name, leaf in flat.items():
    if name.endswith("scale"):
      assert (leaf == 1).all()
    else:
      assert abs(float(leaf.std()) - 0.5) < 0.02
