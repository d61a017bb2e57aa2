"""What is inspected: a source, or the network that a config would train."""

import collections
import dataclasses

import jax
import jax.numpy as jnp

from jft import families, loading, shapes, tree
from jft.errors import UserError
from jft.insight import costs
from jft.insight.oddities import Tensor
from jft.loading import Change, Plan
from jft.models.decoder_config import writes
from jft.models.head import Head
from jft.net import Net
from jft.preflight.finding import Finding
from jft.pretrained import accounting, adapt, hub, layouts
from jft.pretrained.formats.lazy import shape_of
from jft.pretrained.report import Report, Row
from jft.spec import Spec, spec_of
from jft.typing import Any, ApplyFn, Callable, Iterator, Mapping, Variables

_CLASSES = 10
"""Outputs of the head that a model without one is given for its costs."""
_SIDE = 224  # pixels, for the costs of a model whose image size is not said


@dataclasses.dataclass(frozen=True)
class Subject:
  """A model by its shapes, and its values one tensor at a time.

  Attributes:
    apply, spec, report: as in `Net`.
    variables: shapes and dtypes.
    located: the source, None for random weights.
    dialect: whose names and layout the source has, "" for random weights.
    stored: {dtype: tensors} in the source.
    tensors: makes an iterator over all of them, each read when its turn comes.
    told: what would keep it from loading as it is.
  """

  apply: ApplyFn
  spec: Spec
  report: Report
  variables: Variables
  located: hub.Located | None
  dialect: str
  stored: Mapping[str, int]
  tensors: Callable[[], Iterator[Tensor]]
  told: tuple[Finding, ...] = ()


def of_source(source: str, arch: str | None = None) -> Subject:
  """Returns a source as a subject; no value is read yet.

  Args:
    source, arch: as for `load_pretrained`.

  Raises:
    UserError: for whatever `load_pretrained` would refuse by names and shapes.
  """
  plan = loading.plan(hub.locate(source), arch, Change(None, (), None, {}))
  sides = accounting.Plan(plan.target, plan.weights, plan.table, adapt.HEAD, {})
  dropped = adapt.account(sides, {}, plan.dropped)
  loaded = [_loaded(plan, name) for name in plan.target]
  spec, told = _spec(plan)
  dtypes = [str(spec.dtype) for spec in plan.weights.specs.values()]
  return Subject(
    loading.linen_apply(plan.module),
    spec,
    Report((*loaded, *dropped)),
    tree.unflatten(plan.target),
    plan.located,
    plan.dialect.name,
    dict(collections.Counter(dtypes).most_common()),
    lambda: _tensors(plan),
    told,
  )


def of_net(network: Net) -> Subject:
  """Returns a loaded network as a subject."""
  source = network.spec.source
  # What was just drawn says nothing about the weights.
  fresh = {row.name for row in network.report if row.status == "reinit"}
  flat = {
    name: leaf
    for name, leaf in tree.flatten(network.variables).items()
    if name not in fresh
  }
  return Subject(
    network.apply,
    network.spec,
    network.report,
    costs.shapes(network.variables),
    hub.locate(source) if source else None,
    "",
    {},
    lambda: (Tensor(name, jax.device_get(x)) for name, x in flat.items()),
  )


def inputs(spec: Spec, batch_size: int, size: int, tokens: int) -> Any:
  """Returns the shapes of a batch that a model reads.

  Args:
    spec: of the model.
    batch_size: examples.
    size: pixels of an image's side; tokens: of a text.
  """

  def shape(leaf: jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct:
    rest = leaf.shape[1:] if spec.kind == "image" else (tokens,)
    return jax.ShapeDtypeStruct((batch_size, *rest), leaf.dtype)

  return jax.tree.map(shape, loading.input_shapes(spec, spec.config, size))


def with_head(subject: Subject) -> tuple[ApplyFn, Variables]:
  """Returns a subject's apply and shapes, with a classifier for its head.

  One that has no head, or that of another task, gets a new one of 10 classes;
  what scores words stays as it is.
  """
  spec = subject.spec
  if writes(spec.config) and spec.num_classes:
    return subject.apply, subject.variables
  usual = {
    field.name: field.default
    for field in dataclasses.fields(spec.config)
    if field.name == "task"
  }
  config = dataclasses.replace(spec.config, **usual)
  if "head" in subject.variables["params"] and config == spec.config:
    return subject.apply, subject.variables
  family = families.FAMILIES[spec.family]
  module = family.module(config, _CLASSES)
  inputs = loading.input_shapes(family, config)
  flat = shapes.variables(module, config, inputs)
  return loading.linen_apply(module), tree.unflatten(flat)


def _spec(plan: Plan) -> tuple[Spec, tuple[Finding, ...]]:
  """Returns the spec, with stand-ins where nobody says how images look."""
  config, head = plan.config, plan.head
  classes = head.num_classes if isinstance(head, Head) else head
  kind = plan.located, plan.family, plan.dialect, config, classes
  try:
    return spec_of(*kind, fresh_head=False), ()
  except UserError as error:
    if plan.family.kind != "image":
      raise
    side = getattr(config, "image_size", _SIDE)
    half = (0.5,) * config.in_channels
    given = {"image_size": side, "mean": half, "std": half}
    spec = spec_of(*kind, fresh_head=False, given=given)
    return spec, (Finding("inputs", "warning", str(error)),)


def _loaded(plan: Plan, name: str) -> Row:
  source = plan.table[name].source
  shape = tuple(plan.target[name].shape)
  return Row(name, source, "loaded", shape, shape_of(plan.weights, source))


def _tensors(plan: Plan) -> Iterator[Tensor]:
  taken = collections.defaultdict(list)
  for name in plan.target:
    taken[plan.table[name].source].append(name)
  for source in plan.weights:
    array = plan.weights[source]
    for name in taken[source]:
      yield Tensor(name, layouts.to_jft(plan.table[name], array))
    if not taken[source] and jnp.issubdtype(array.dtype, jnp.floating):
      yield Tensor(source, array, used=False)
