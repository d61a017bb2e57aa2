"""From a source's tensors to a network: recognised, changed and filled."""

import dataclasses
import re

import jax
import jax.numpy as jnp

from jft import cards, families, shapes, tree
from jft import options as options_of
from jft.errors import UserError
from jft.family import Family
from jft.models.decoder_config import writes
from jft.models.head import Head
from jft.own import Loaded, Own
from jft.pretrained import adapt, constants, formats, hub, sentence, surgery
from jft.pretrained.dialect import Dialect, choose
from jft.pretrained.formats.lazy import shape_of
from jft.pretrained.layouts import Entry
from jft.pretrained.names.jft import JFT
from jft.pretrained.report import Report, Row
from jft.pretrained.ties import tied
from jft.spec import Spec, count, fresh_image_facts, spec_of
from jft.typing import (
  Any,
  ApplyFn,
  Key,
  Mapping,
  Rules,
  Sequence,
  Variables,
)


@dataclasses.dataclass(frozen=True)
class Change:
  """What the user wants to be different from the source."""

  num_classes: Head | int | None
  reinit: tuple[str, ...]
  keep_blocks: Sequence[int] | None
  options: Mapping[str, Any]

  @property
  def renews_head(self) -> bool:
    """Whether the source's classes are those of another head."""
    last = tuple(f"params/head/{n}kernel" for n in ("", "out/", "class/"))
    return any(re.fullmatch(r, name) for r in self.reinit for name in last)


@dataclasses.dataclass(frozen=True)
class Plan:
  """All that a load knows before it reads a value.

  Attributes:
    located, weights: the source, and its tensors, read on access.
    family, dialect, config: its architecture, and how it is written.
    change: what the user wants to be different.
    given: what the user says of an image model's inputs; channels: those that
      the source's own model reads.
    head: of the model to be built, None for none.
    module: the Linen module; target: {name: shape and dtype} of its variables.
    table, dropped: where each variable is in the source, and what is not.
  """

  located: hub.Located
  weights: formats.Tensors
  family: Family
  dialect: Dialect
  config: Any
  change: Change
  given: Mapping[str, Any]
  channels: int
  head: Head | int | None
  module: Any
  target: Mapping[str, jax.ShapeDtypeStruct]
  table: Mapping[str, Entry]
  dropped: Rules


def plan(located: hub.Located, arch: str | None, change: Change) -> Plan:
  """Returns what a load will do, from names and shapes alone.

  Args:
    located: the source.
    arch: the preset, where the source does not say.
    change: what the user wants to be different.

  Raises:
    UserError: if the architecture is not known, or not the source's.
  """
  weights = formats.read(located.weights)
  sizes = {name: shape_of(weights, name) for name in weights}
  family, config = architecture(located, arch)
  channels = getattr(config, "in_channels", 0)
  dialect = choose(family.name, (*family.dialects, JFT), sizes)
  given, options = options_of.images(family, change.options)
  use = _own_use(located, config, change)
  options = {**use, **options_of.new_task(config, change.num_classes, options)}
  if arch or not cards.states_config(located.config, dialect.name):
    config = dialect.adjust(config)
  config, options = options_of.configure(config, given, options)
  dialect.check(config, sizes)
  table = dialect.table(config, sizes)
  dropped = _dropped(dialect, config, change)
  if "mean" not in given and not cards.states_mean(located.config):
    constants.check(weights, dialect.constants(config))
  if change.num_classes is None:  # else the head goes, and its copies with it
    dropped = [*tied(weights, dialect.ties(config)), *dropped]
  if change.keep_blocks is not None:
    table, left_out = surgery.renumbered(table, change.keep_blocks)
    dropped = [*dropped, *left_out]
    config = surgery.shortened(config, change.keep_blocks)
  head = change.num_classes or None
  if change.num_classes is None:
    head = cards.source_head(located.config, config, table, sizes)
  module = family.module(config, head, **options)
  return Plan(
    located,
    weights,
    family,
    dialect,
    config,
    change,
    given,
    channels,
    head,
    module,
    shapes.variables(module, config, input_shapes(family, config)),
    table,
    dropped,
  )


def fill(plan: Plan, key: Key | None, place: adapt.Place) -> Loaded:
  """Loads what was planned.

  Args:
    plan: what `plan` returned.
    key: draws what starts anew.
    place: see `adapt`.

  Raises:
    UserError: if a tensor is unexplained, or a value cannot be.
  """
  family, module, config = plan.family, plan.module, plan.config
  reinit = plan.change.reinit
  initial = _initial(family, module, config, plan.target, reinit, key)
  flat, report = adapt.adapt(
    plan.target,
    plan.weights,
    plan.table,
    plan.dropped,
    initial=initial,
    reinit=reinit,
    resize=_resize(family, config, plan.change.options),
    place=place,
  )
  spec = spec_of(
    plan.located,
    family,
    plan.dialect,
    config,
    plan.head,
    fresh_head=plan.change.renews_head,
    given=plan.given,
    own=plan.channels,
  )
  return Loaded(linen_apply(module), tree.unflatten(flat), spec, report)


def init(
  arch: str,
  num_classes: Head | int | None,
  key: Key,
  options: Mapping[str, Any],
) -> Loaded:
  """Builds a preset with random weights; see `jft.net.init`."""
  family, config = families.preset(arch)
  given, options = options_of.images(family, options)
  options = options_of.new_task(config, num_classes, options)
  config, options = options_of.configure(config, given, options)
  if num_classes is None and writes(config):
    num_classes = config.vocab_size
  if num_classes is None:
    raise UserError(f"init({arch!r}) needs num_classes, such as 10.")
  check_classes(num_classes, 1)
  module = family.module(config, num_classes, **options)
  target = shapes.variables(module, config, input_shapes(family, config))
  flat = _initial(family, module, config, target, [".*"], key)
  rows = tuple(
    Row(name, None, "reinit", tuple(spec.shape), None, "no source")
    for name, spec in target.items()
  )
  spec = Spec(
    family.name,
    family.kind,
    arch,
    config,
    count(num_classes),
    head=num_classes,
    **fresh_image_facts(family, config, given),
  )
  return Loaded(linen_apply(module), tree.unflatten(flat), spec, Report(rows))


def linen_apply(module: Any) -> ApplyFn:
  """Returns the pure function of a Linen module, in jft's signature."""

  def apply(
    variables: Variables,
    inputs: Any,
    *,
    train: bool = False,
    rngs: Mapping[str, Key] | None = None,
    mutable: Any = False,
    axis_name: str | None = None,
  ) -> Any:
    return module.apply(
      variables,
      inputs,
      train=train,
      axis_name=axis_name,
      rngs=rngs,
      mutable=mutable,
    )

  return apply


def input_shapes(spec_or_family: Any, config: Any, size: int = 32) -> Any:
  """Returns shapes of the smallest inputs it takes: one image or one text."""
  if isinstance(config, Own):
    return jax.eval_shape(lambda: config.inputs)
  if spec_or_family.kind == "image":
    if getattr(config, "fixed_size", False):
      size = config.image_size
    shape = (1, size, size, config.in_channels)
    return jax.ShapeDtypeStruct(shape, jnp.float32)
  tokens = jax.ShapeDtypeStruct((1, 8), jnp.int32)
  return {"input_ids": tokens, "attention_mask": tokens}


def architecture(located: hub.Located, arch: str | None) -> tuple[Family, Any]:
  if arch:
    return families.preset(arch)
  if (found := families.recognise(located.config)) is not None:
    return found
  known = ", ".join(families.FAMILIES)
  kind = located.config.get("model_type") or located.config.get("family")
  raise UserError(
    f"{located.source!r} is of model type {kind!r}, jft has: {known}."
    if kind
    else f"{located.source!r} has no config that names its architecture; say"
    ' it: arch="resnet34", for example.'
  )


def _own_use(
  located: hub.Located, config: Any, change: Change
) -> dict[str, Any]:
  """Options that a sentence encoder's folder gives, if the user does not."""
  if not hasattr(config, "normalize") or "pooling" in change.options:
    return {}
  found = None if located.kind == "file" else sentence.read(located.folder)
  if found is None:
    return {}
  return {"pooling": found.pooling, "normalize": found.normalize}


def check_classes(num_classes: Head | int | None, least: int) -> None:
  if isinstance(num_classes, int) and num_classes < least:
    raise UserError(f"num_classes={num_classes}: it must be at least {least}.")


def new_head(num_classes: Head | int | None) -> list[str]:
  return ["params/head/.*"] if num_classes else []


def _dropped(dialect: Dialect, config: Any, change: Change) -> Rules:
  if not change.num_classes:
    why = "the head, by num_classes=0"
  else:
    why = "the source's head: a new one was asked for"
  head = [] if change.num_classes is None else [(dialect.head, why)]
  return [*dialect.dropped(config), *head]


def _resize(family: Family, config: Any, options: Mapping[str, Any]) -> Rules:
  """What may be fitted: only what was asked to have another size."""
  rules = []
  if "in_channels" in options:
    rules.append((family.stem, surgery.fit_channels))
  if "vocab_size" in options:
    rules.append((family.words, surgery.fit_rows))
    if family.scores and writes(config):
      rules.append((family.scores, surgery.fit_columns))
  if "image_size" in options:
    rules += family.positions(config)
  return rules


def _initial(family, module, config, target, reinit, key) -> dict[str, Any]:
  """Draws the leaves that a reinit rule asks for, and only those."""
  wanted = [
    name for name in target if any(re.fullmatch(r, name) for r in reinit)
  ]
  if not wanted:
    return {}
  if key is None:
    raise UserError(
      f"{len(wanted)} leaves are to be initialised ({wanted[0]}, ...): give"
      " key=jax.random.key(0)."
    )

  def draw(key: Key) -> dict[str, Any]:
    inputs = jax.tree.map(jnp.zeros_like, input_shapes(family, config))
    flat = tree.flatten(module.init(key, inputs))
    return {name: flat[name] for name in wanted}

  return jax.jit(draw)(key)
