import pytest
from golden import families

from jft import tree
from jft.errors import UserError
from jft.tuning import freeze, unfreeze
from jft.tuning.unfreeze import Phase, phase_at

A, B = frozenset("a"), frozenset("ab")


def test_phases_by_step():
  phases = [Phase(0, A), Phase(5, B), Phase(7, A)]
  assert [phase_at(phases, s) for s in range(9)] == [0] * 5 + [1] * 2 + [2] * 2


@pytest.mark.parametrize(
  "starts", [[], [1], [0, 5, 5], [0, 7, 5], [None], [0, None, 5]]
)
def test_phases_out_of_order(starts):
  with pytest.raises(UserError, match="must start at step 0"):
    phase_at([Phase(s, A) for s in starts], 0)


def test_a_phase_that_waits_begins_when_it_is_told():
  phases = [Phase(0, A), Phase(None, B), Phase(None, A)]
  assert phase_at(phases, 1000) == 0
  begun = unfreeze.begun(phases, [40])
  assert [p.start_step for p in begun] == [0, 40, None]
  assert [phase_at(begun, s) for s in (39, 40, 1000)] == [0, 1, 1]
  assert [p.start_step for p in unfreeze.begun(begun, [50])] == [0, 40, 50]


def thawed(family, blocks, preset=freeze.full):
  """Returns the parts that join in each phase."""
  params = families.params(family)
  labels = freeze.label(params, preset(params))
  made, phases = unfreeze.gradual(labels, blocks, frozenset({"head"}))
  flat, seen, joined = tree.flatten(made), frozenset(), []
  for phase in phases:
    names = [n for n, label in flat.items() if label in phase - seen]
    joined.append(sorted({name.split("/")[0] for name in names}))
    seen |= phase
  assert seen == {*flat.values()} - {"freeze"}
  return joined


def test_howard_and_ruder_s_order():
  # Head, then from the top down; as in fastai's classifier the embeddings,
  # which nothing lies below, thaw with the lowest layer.
  assert thawed("bert", 1) == [
    ["head"],
    ["block_01", "pooler"],
    ["block_00", "embeddings"],
  ]
  assert thawed("resnet", 1) == [
    ["head"],
    ["block_01"],
    ["block_00", "stem_0", "stem_1", "stem_2"],
  ]
  assert thawed("convnext", 3) == [
    ["head"],
    ["block_01", "block_02", "block_03", "norm"],
    ["block_00", "stem"],
  ]
  assert thawed("vgg", 5) == [["head"], ["block_00", "block_01", "fc1", "fc2"]]


def test_what_is_frozen_stays_frozen():
  def top(params):
    return freeze.top_blocks(params, 2)

  assert thawed("convnext", 1, top) == [
    ["head"],
    ["block_03", "norm"],
    ["block_02"],
  ]


def test_labels_of_the_user_are_split_too():
  labels = {"block_00": {"w": "low"}, "block_01": {"w": "top"}, "a": {"w": "x"}}
  made, phases = unfreeze.gradual(labels, 1, frozenset({"x", "head"}))
  assert (made["block_00"], made["block_01"]) == (
    {"w": "low_2"},
    {"w": "top_1"},
  )
  assert [sorted(p) for p in phases] == [
    ["x"],
    ["top_1", "x"],
    ["low_2", "top_1", "x"],
  ]


def test_without_a_head_the_top_blocks_begin():
  names = ("embeddings", "block_00", "block_01", "block_02", "norm")
  labels = {name: {"w": "b"} for name in names}
  made, phases = unfreeze.gradual(labels, 2, frozenset({"head"}))
  assert {name: made[name]["w"] for name in names} == {
    "embeddings": "b_2",
    "block_00": "b_2",
    "block_01": "b_1",
    "block_02": "b_1",
    "norm": "b_1",
  }
  assert [sorted(p) for p in phases] == [["b_1"], ["b_1", "b_2"]]


@pytest.mark.parametrize(
  "labels",
  [
    {"head": {"w": "head"}},
    {"block_00": {"w": "b"}},
    {"block_00": {"w": "freeze"}},
  ],
)
def test_something_begins_and_something_follows(labels):
  with pytest.raises(UserError, match="parts that thaw one after another"):
    unfreeze.gradual(labels, 1, frozenset({"head"}))
