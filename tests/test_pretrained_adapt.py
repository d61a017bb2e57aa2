"""Every leaf on both sides is accounted for, or it is an error."""

import json
import weakref

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

from jft.errors import UserError
from jft.pretrained.adapt import adapt
from jft.pretrained.formats.lazy import Tensors
from jft.pretrained.layouts import Entry, Part
from jft.pretrained.report import Row

CONV = "params/stem/conv/kernel"
MEAN = "batch_stats/stem/norm/mean"
KERNEL = "params/head/kernel"
BIAS = "params/head/bias"
TABLE = {
  CONV: Entry("conv1.weight", "conv"),
  MEAN: Entry("bn1.running_mean"),
  KERNEL: Entry("fc.weight", "dense"),
  BIAS: Entry("fc.bias"),
}
DROPPED = [
  (r".*\.num_batches_tracked", "a counter for momentum=None"),
  ("never.*", "matches nothing here, and may"),
]


def shapes(classes: int | None = 5) -> dict[str, jax.ShapeDtypeStruct]:
  made = {
    CONV: jax.ShapeDtypeStruct((2, 3, 4, 6), jnp.float32),
    MEAN: jax.ShapeDtypeStruct((6,), jnp.float32),
  }
  if classes:
    made[KERNEL] = jax.ShapeDtypeStruct((6, classes), jnp.float32)
    made[BIAS] = jax.ShapeDtypeStruct((classes,), jnp.float32)
  return made


def source() -> dict[str, np.ndarray]:
  rng = np.random.default_rng(0)
  return {
    "conv1.weight": rng.normal(size=(6, 4, 2, 3)).astype(np.float32),
    "bn1.running_mean": rng.normal(size=6).astype(np.float32),
    "bn1.num_batches_tracked": np.array(7),
    "fc.weight": rng.normal(size=(5, 6)).astype(np.float32),
    "fc.bias": rng.normal(size=5).astype(np.float32),
  }


def fill(target) -> dict[str, np.ndarray]:
  return {k: np.full(s.shape, 9, s.dtype) for k, s in target.items()}


def run(target=None, tensors=None, table=TABLE, dropped=DROPPED, **kwargs):
  target = shapes() if target is None else target
  tensors = source() if tensors is None else tensors
  return adapt(target, tensors, table, dropped, initial=fill(target), **kwargs)


# --- loaded ------------------------------------------------------------------


def test_values_layouts_and_order():
  tensors = source()
  out, report = run()
  assert list(out) == list(shapes())
  for i in np.ndindex(2, 3, 4, 6):
    h, w, cin, cout = i
    assert out[CONV][i] == tensors["conv1.weight"][cout, cin, h, w]
  np.testing.assert_array_equal(out[KERNEL], tensors["fc.weight"].T)
  np.testing.assert_array_equal(out[BIAS], tensors["fc.bias"])
  np.testing.assert_array_equal(out[MEAN], tensors["bn1.running_mean"])
  assert all(value.flags.c_contiguous for value in out.values())
  assert report.counts() == {"loaded": 4, "dropped": 1}
  assert report.rows[0] == Row(
    CONV, "conv1.weight", "loaded", (2, 3, 4, 6), (6, 4, 2, 3)
  )
  assert report.rows[-1] == Row(
    None,
    "bn1.num_batches_tracked",
    "dropped",
    None,
    (),
    "a counter for momentum=None",
  )


def test_tied_variables_may_share_a_tensor():
  table = TABLE | {"params/tied/bias": Entry("fc.bias")}
  target = shapes() | {"params/tied/bias": shapes()[BIAS]}
  out, report = run(target, table=table)
  np.testing.assert_array_equal(out["params/tied/bias"], out[BIAS])
  assert report.counts()["loaded"] == 5


def test_cast_to_the_models_dtype():
  target = shapes()
  target[CONV] = jax.ShapeDtypeStruct((2, 3, 4, 6), jnp.bfloat16)
  tensors = source()
  tensors["fc.bias"] = np.arange(5).astype(ml_dtypes.bfloat16)
  tensors["bn1.running_mean"] = np.arange(6, dtype=np.float64)
  out, _ = run(target, tensors)
  assert out[CONV].dtype == jnp.bfloat16
  assert out[BIAS].dtype == out[MEAN].dtype == np.float32
  assert out[BIAS].tolist() == [0, 1, 2, 3, 4]


# --- the head ----------------------------------------------------------------


def test_other_label_count_starts_the_whole_head_anew():
  out, report = run(shapes(37), num_classes=37)
  assert (out[KERNEL] == 9).all()
  assert (out[BIAS] == 9).all()
  rows = {row.name: row for row in report}
  assert rows[KERNEL] == Row(
    KERNEL, "fc.weight", "reinit", (6, 37), (5, 6), "label count 5 → 37"
  )
  assert rows[BIAS].reason == "label count 5 → 37"
  assert report.counts() == {"loaded": 2, "reinit": 2, "dropped": 1}


def test_same_label_count_keeps_the_head():
  out, report = run(num_classes=5)
  np.testing.assert_array_equal(out[BIAS], source()["fc.bias"])
  assert "reinit" not in report.counts()


def test_other_label_count_without_asking_is_an_error():
  with pytest.raises(UserError) as caught:
    run(shapes(37))
  assert (
    f"{KERNEL}: got shape (6, 5) from 'fc.weight', expected (6, 37)"
    in str(caught.value)
  )


def test_source_without_a_head():
  tensors = source()
  del tensors["fc.weight"], tensors["fc.bias"]
  for table in (TABLE, {CONV: TABLE[CONV], MEAN: TABLE[MEAN]}):
    _, report = run(tensors=tensors, table=table, num_classes=5)
    rows = {row.name: row for row in report}
    assert rows[BIAS] == Row(
      BIAS, None, "reinit", (5,), None, "the source has no head"
    )
  with pytest.raises(UserError, match=r"the source has no 'fc\.weight'"):
    run(tensors=tensors)


def test_source_with_half_a_head_is_not_half_loaded():
  tensors = source()
  del tensors["fc.bias"]
  out, report = run(tensors=tensors, num_classes=5)
  assert (out[KERNEL] == 9).all()
  assert report.counts()["reinit"] == 2


def test_model_without_a_head_drops_the_sources():
  out, report = run(shapes(None))
  assert list(out) == [CONV, MEAN]
  assert [(r.source, r.reason) for r in report if r.status == "dropped"] == [
    ("bn1.num_batches_tracked", "a counter for momentum=None"),
    ("fc.weight", "the model was asked for without a head"),
    ("fc.bias", "the model was asked for without a head"),
  ]


def test_a_head_deeper_in_the_model_is_no_classifier():
  name = "params/block_00/head/bias"
  target = shapes() | {name: jax.ShapeDtypeStruct((3,), jnp.float32)}
  table = TABLE | {name: Entry("b.bias")}
  with pytest.raises(UserError, match=r"the source has no 'b\.bias'"):
    run(target, table=table, num_classes=5)


# --- reinit and resize -------------------------------------------------------


def test_reinit_rule_wins_over_a_leaf_that_fits():
  out, report = run(reinit=["params/stem/.*"])
  assert (out[CONV] == 9).all()
  row = next(row for row in report if row.name == CONV)
  assert (row.status, row.source) == ("reinit", "conv1.weight")
  assert row.reason == "asked for by reinit rule 'params/stem/.*'"


def test_reinit_rule_says_why_a_leaf_would_not_have_fitted():
  tensors = source() | {"bn1.running_mean": np.zeros((6, 1), np.float32)}
  del tensors["conv1.weight"]
  for asked in ([".*"], ["params/.*", "batch_stats/.*"]):
    out, report = run(shapes(37), tensors, reinit=asked)
    assert all((value == 9).all() for value in out.values())
    assert {row.name: row.reason for row in report if row.name} == {
      CONV: f"the source has no {CONV}",
      MEAN: "shape (6, 1) → (6,)",
      KERNEL: "label count 5 → 37",
      BIAS: "label count 5 → 37",
    }


def test_head_of_another_rank_starts_anew_if_asked():
  tensors = source() | {"fc.weight": np.zeros((5, 6, 1, 1), np.float32)}
  _, report = run(tensors=tensors, num_classes=5)
  assert report.counts()["reinit"] == 2
  assert "needs 2 axes" in next(r.reason for r in report if r.name == BIAS)


def test_reinit_rule_that_matches_nothing_is_an_error():
  with pytest.raises(UserError, match=r"'params/steem/\.\*' matches none"):
    run(reinit=["params/steem/.*"])
  with pytest.raises(UserError, match="must be a list"):
    run(reinit="params/stem/.*")


def test_reinit_needs_a_fitting_initial_value():
  with pytest.raises(UserError, match=r"initial value has shape None"):
    adapt(
      shapes(), source(), TABLE, DROPPED, initial={}, reinit=["params/head/.*"]
    )


def test_resize_rule_is_used_only_where_shapes_differ():
  target = shapes()
  target[MEAN] = jax.ShapeDtypeStruct((8,), jnp.float32)
  asked = []

  def pad(array, shape):
    asked.append((array.shape, shape))
    return np.pad(array, (0, shape[0] - array.shape[0]))

  out, report = run(target, resize=[("batch_stats/.*", pad), (".*", pad)])
  assert asked == [((6,), (8,))]
  assert out[MEAN][6:].tolist() == [0, 0]
  row = next(row for row in report if row.status == "resized")
  assert (row.name, row.reason) == (MEAN, "(6,) → (8,)")
  with pytest.raises(UserError, match=r"resized to \(6,\), expected \(8,\)"):
    run(target, resize=[(".*", lambda array, shape: array)])


# --- unexplained -------------------------------------------------------------


def test_every_unexplained_name_is_listed_with_near_misses():
  tensors = source()
  tensors["conv1.weigth"] = tensors.pop("conv1.weight")
  tensors["extra"] = np.zeros(3)
  with pytest.raises(UserError) as caught:
    run(tensors=tensors)
  message = str(caught.value)
  assert "4 variables, 6 source tensors); unexplained: 3" in message
  assert (
    f"{CONV} (2, 3, 4, 6): the source has no 'conv1.weight'"
    " (near: conv1.weigth" in message
  )
  assert "source 'conv1.weigth' (6, 4, 2, 3): no variable takes it" in message
  assert "(near: conv1.weight)" in message
  assert "source 'extra' (3,)" in message


def test_a_leaf_outside_the_table_and_an_entry_outside_the_model():
  target = shapes() | {"params/new": jax.ShapeDtypeStruct((1,), jnp.float32)}
  with pytest.raises(
    UserError, match=r"params/new \(1,\): not in the name tab"
  ):
    run(target)
  table = TABLE | {"params/stem/conv/bias": Entry("conv1.bias")}
  with pytest.raises(UserError, match="the model has no such variable"):
    run(table=table)


def test_wrong_rank_and_wrong_shape():
  tensors = source() | {"conv1.weight": np.zeros((6, 4), np.float32)}
  with pytest.raises(
    UserError, match=r"'conv' needs 4 axes, got shape \(6, 4\)"
  ):
    run(tensors=tensors)
  tensors = source() | {"bn1.running_mean": np.zeros(7, np.float32)}
  with pytest.raises(UserError, match=r"got shape \(7,\) .* expected \(6,\)"):
    run(tensors=tensors)


def test_a_long_list_is_cut_on_either_side():
  tensors = {f"x{i}": np.zeros(1) for i in range(50)}
  with pytest.raises(UserError) as caught:
    run(tensors=tensors)
  assert "… and 42 more" in str(caught.value)
  assert len(str(caught.value).splitlines()) == 1 + 4 + 9 + 1


def test_nothing_is_read_where_names_or_shapes_already_fail():
  specs = {
    name: jax.ShapeDtypeStruct(a.shape, a.dtype) for name, a in source().items()
  }
  reads = []

  def load(name):
    reads.append(name)
    return source()[name]

  with pytest.raises(UserError):
    run(shapes(37), Tensors(specs, load))
  assert reads == []
  run(shapes(37), Tensors(specs, load), num_classes=37)
  assert reads == ["conv1.weight", "bn1.running_mean"]  # each once, no head


# --- values ------------------------------------------------------------------


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float32, ml_dtypes.bfloat16])
def test_not_finite_names_the_leaf_and_the_count(bad, dtype):
  mean = np.array([0, bad, 0, bad, 0, 0]).astype(dtype)
  with pytest.raises(
    UserError, match=f"{MEAN}: 2 of 6 values are NaN or infinite in the source"
  ):
    run(tensors=source() | {"bn1.running_mean": mean})


def test_not_finite_in_a_dropped_or_reinit_tensor_does_not_matter():
  tensors = source() | {"fc.bias": np.full(5, np.nan, np.float32)}
  run(tensors=tensors, reinit=["params/head/.*"])


def test_overflow_of_the_cast_is_an_error():
  target = shapes()
  target[MEAN] = jax.ShapeDtypeStruct((6,), jnp.float16)
  tensors = source() | {"bn1.running_mean": np.full(6, 1e5, np.float32)}
  with pytest.raises(UserError, match=r"6 of 6 .* after the cast from float32"):
    run(target, tensors)


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.bool_, np.complex64])
def test_other_kinds_of_numbers_are_not_cast(dtype):
  tensors = source() | {"bn1.running_mean": np.zeros(6, dtype)}
  with pytest.raises(UserError, match=f"{MEAN}: the source holds"):
    run(tensors=tensors)


# --- the report --------------------------------------------------------------


def test_report_prints_what_stands_out_and_is_json():
  tensors = source() | {"bn2.num_batches_tracked": np.array(1)}
  _, report = run(shapes(37), tensors, num_classes=37)
  assert str(report) == "\n".join(
    [
      "2 loaded, 2 reinit, 2 dropped",
      f"  reinit   {KERNEL} [6, 37] and 1 more: label count 5 → 37",
      "  dropped  bn1.num_batches_tracked [] and 1 more: a counter for"
      " momentum=None",
    ]
  )
  made = json.loads(json.dumps(report.as_dict()))
  assert made["counts"] == {"loaded": 2, "reinit": 2, "dropped": 2}
  assert len(made["rows"]) == len(report) == 6
  assert made["rows"][0] == {
    "name": CONV,
    "source": "conv1.weight",
    "status": "loaded",
    "shape": [2, 3, 4, 6],
    "source_shape": [6, 4, 2, 3],
    "reason": "",
  }


# --- one at a time -----------------------------------------------------------


def watched(tensors):
  """Returns a source that reads one array at a time, and what it has read."""
  read, alive = [], weakref.WeakSet()

  class Watched(np.ndarray):
    """NumPy's own arrays cannot be put into a WeakSet: they are unhashable."""

    __hash__ = object.__hash__

  def load(name):
    read.append(name)
    assert len(alive) == 0, "the last one is still there"
    array = Watched(tensors[name].shape, tensors[name].dtype)
    array[...] = tensors[name]
    alive.add(array)
    return array

  specs = {
    name: jax.ShapeDtypeStruct(value.shape, value.dtype)
    for name, value in tensors.items()
  }
  return Tensors(specs, load), read


def test_each_leaf_is_placed_before_the_next_is_read_the_largest_first():
  tensors, read = watched(source())
  placed = []

  def place(name, array):
    placed.append((name, len(read)))
    return array + 0

  out, report = run(tensors=tensors, place=place)
  # 144, 30, 6 and 5 values.
  names = [CONV, KERNEL, MEAN, BIAS]
  assert placed == [(name, i + 1) for i, name in enumerate(names)]
  assert list(out) == list(shapes())
  assert [row.name for row in report][:4] == list(shapes())


def test_a_tensor_of_several_parts_is_read_once_and_let_go():
  qkv = np.arange(12, dtype=np.float32)
  tensors, read = watched({"qkv.bias": qkv, "out.bias": qkv[:4] + 0})
  table = {
    f"params/{n}": Entry("qkv.bias", "same", Part(i, 3))
    for i, n in enumerate("qkv")
  }
  table["params/o"] = Entry("out.bias")
  target = {n: jax.ShapeDtypeStruct((4,), jnp.float32) for n in sorted(table)}
  views = []

  def place(name, array):
    views.append(array.base is not None and array.base.size > array.size)
    return array + 0

  out, _ = adapt(target, tensors, table, [], initial={}, place=place)
  assert sorted(read) == ["out.bias", "qkv.bias"]
  assert {n: out[f"params/{n}"].tolist() for n in "qkv"} == {
    "q": [0, 1, 2, 3],
    "k": [4, 5, 6, 7],
    "v": [8, 9, 10, 11],
  }
  # A view of four values would hold the twelve that they are from.
  assert views == [False] * 4
