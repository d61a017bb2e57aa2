"""A pretrained network as a record of pure functions and arrays."""

import dataclasses
import re
from concurrent.futures import ThreadPoolExecutor

import jax
import jax.numpy as jnp

from jft import families, parallel, tree
from jft.errors import UserError, did_you_mean
from jft.families import Family
from jft.models.head import Head
from jft.pretrained import adapt, formats, hub
from jft.pretrained.dialect import Dialect, choose
from jft.pretrained.formats.lazy import shape_of
from jft.pretrained.report import Report, Row
from jft.spec import Spec, image_facts, spec_of
from jft.typing import Any, ApplyFn, Key, Mapping, Params, Rules, Variables


@dataclasses.dataclass(frozen=True)
class Net:
  """A network: nothing in it changes, training works on copies.

  Attributes:
    apply: (variables, inputs, *, train=False, rngs=None, mutable=False,
      axis_name=None) -> outputs, or (outputs, collections) where mutable.
    variables: {"params": ..., collections}.
    spec: what it is and what it expects.
    report: what became of every tensor at the load.
  """

  apply: ApplyFn
  variables: Variables
  spec: Spec
  report: Report

  @property
  def params(self) -> Params:
    """The params tree."""
    return self.variables["params"]


def load_pretrained(
  source: str,
  *,
  arch: str | None = None,
  num_classes: Head | int | None = None,
  key: Key | None = None,
  pretrained: bool = True,
  sharding: parallel.Where = None,
  **options: Any,
) -> Net:
  """Builds a network from pretrained weights; none is ever half-loaded.

  Every leaf on both sides is accounted for in `net.report`, or an error.

  Args:
    source: "jft:NAME" (shipped), "hf:org/name[@revision]", "package:NAME" (in
      an installed Python package), a folder in Hugging Face's layout or a file
      (.safetensors, .pth, .bin).
    arch: the preset of a bare file, such as "resnet34"; a folder with a
      config.json needs none.
    num_classes: a new head with so many outputs, or of a kind (`Head`), drawn
      from `key`, even where the source's head has as many. None keeps the
      source's head, 0 drops it.
    key: for what is initialised.
    pretrained: False initialises everything, to compare with.
    sharding: where the leaves shall live: a `Sharding` for all of them, or a
      function (name, shape) -> Sharding; each leaf goes straight to its shards
      as soon as it is read. None is the default device.
    **options: `dtype`, `param_dtype`, `remat`; `pooling` for text.

  Raises:
    UserError: for a source that is missing, damaged or of another
      architecture, or a tensor that nothing accounts for.

  >>> net = load_pretrained("jft:resnet14_mnist")
  >>> net.report.counts()
  {'loaded': 77}
  """
  _check_classes(num_classes, 0)
  located = hub.locate(source)
  place = parallel.placer(sharding)
  return _load(located, arch, num_classes, key, pretrained, options, place)


def _load(
  located: hub.Located,
  arch: str | None,
  num_classes: Head | int | None,
  key: Key | None,
  pretrained: bool,
  options: Mapping[str, Any],
  place: adapt.Place,
) -> Net:
  weights = formats.read(located.weights)
  shapes = {name: shape_of(weights, name) for name in weights}
  family, config = _architecture(located, arch)
  dialect = choose(family.name, family.dialects, shapes)
  config, options = _configure(dialect.adjust(config), options)
  dialect.check(config, shapes)
  table, reinit = (
    dialect.table(config, shapes),
    _reinit(num_classes, pretrained),
  )
  classes = num_classes or None
  if num_classes is None:
    classes = _own_classes(table, shapes)
  module = family.module(config, classes, **options)
  target = _target(family, module, config)
  dropped = _dropped(dialect, config, num_classes)
  initial = _initial(family, module, config, target, reinit, key)
  # Hashing takes as long as reading: both at once, from one pass of the disk.
  with ThreadPoolExecutor(1) as pool:
    hashed = pool.submit(lambda: located.sha256)
    flat, report = adapt.adapt(
      target,
      weights,
      table,
      dropped,
      initial=initial,
      reinit=reinit,
      place=place,
    )
    hashed.result()
  variables = tree.unflatten(flat)
  kind = located, family, dialect, config, _count(classes)
  spec = spec_of(*kind, fresh_head=bool(reinit))
  return Net(linen_apply(module), variables, spec, report)


def kind_of(source: str, arch: str | None = None) -> str:
  """Returns "image" or "text": what a source's model reads.

  Args:
    source: as for `load_pretrained`; may be empty where `arch` is given.
    arch: a preset.

  Raises:
    UserError: for a source that is missing or does not say.
  """
  if arch:
    return families.preset(arch)[0].kind
  return _architecture(hub.locate(source), None)[0].kind


def init(
  arch: str, *, num_classes: Head | int, key: Key, **options: Any
) -> Net:
  """Builds a network with random weights.

  Args:
    arch: a preset, such as "resnet18".
    num_classes: outputs of the head.
    key: draws the weights.
    **options: as for `load_pretrained`.
  """
  _check_classes(num_classes, 1)
  family, config = families.preset(arch)
  config, options = _configure(config, options)
  module = family.module(config, num_classes, **options)
  target = _target(family, module, config)
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
    _count(num_classes),
    **image_facts(family, family.dialects[0], {}, config),
  )
  return Net(linen_apply(module), tree.unflatten(flat), spec, Report(rows))


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


def dummy_inputs(spec_or_family: Any, config: Any, size: int = 32) -> Any:
  """Returns the smallest inputs the network takes: one image or one text."""
  if spec_or_family.kind == "image":
    return jnp.zeros((1, size, size, config.in_channels))
  tokens = jnp.zeros((1, 8), jnp.int32)
  return {"input_ids": tokens, "attention_mask": tokens + 1}


def _architecture(located: hub.Located, arch: str | None) -> tuple[Family, Any]:
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


def _configure(config: Any, options: Mapping[str, Any]) -> tuple[Any, dict]:
  """Options that the family's config has go there, the rest to the module."""
  fields = {field.name for field in dataclasses.fields(config)}
  for name in options:
    if name not in (known := {*fields, "dtype", "param_dtype", "remat"}):
      raise UserError(
        f"{type(config).__module__.rpartition('.')[2]} has no option {name!r},"
        f" it has {', '.join(sorted(known))}.{did_you_mean(name, known)}"
      )
  ours = {name: options[name] for name in options if name in fields}
  rest = {name: options[name] for name in options if name not in fields}
  return dataclasses.replace(config, **ours), rest


def _check_classes(num_classes: Head | int | None, least: int) -> None:
  if isinstance(num_classes, int) and num_classes < least:
    raise UserError(f"num_classes={num_classes}: it must be at least {least}.")


def _reinit(num_classes: Head | int | None, pretrained: bool) -> list[str]:
  if not pretrained:
    return [".*"]
  return ["params/head/.*"] if num_classes else []


def _dropped(
  dialect: Dialect, config: Any, num_classes: Head | int | None
) -> Rules:
  if not num_classes:
    why = "the head, by num_classes=0"
  else:
    why = "the source's head: a new one was asked for"
  head = [] if num_classes is None else [(dialect.head, why)]
  return [*dialect.dropped(config), *head]


def _count(head: Head | int | None) -> int | None:
  return head.num_classes if isinstance(head, Head) else head


def _own_classes(table: Mapping[str, Any], shapes: Mapping[str, Any]):
  entry = table.get("params/head/bias")
  found = shapes.get(entry.source) if entry else None
  return found[0] if found else None


def _target(family: Family, module: Any, config: Any) -> dict[str, Any]:
  shapes = jax.eval_shape(
    module.init, jax.random.key(0), dummy_inputs(family, config)
  )
  return tree.flatten(shapes)


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
    flat = tree.flatten(module.init(key, dummy_inputs(family, config)))
    return {name: flat[name] for name in wanted}

  return jax.jit(draw)(key)
