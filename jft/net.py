"""A pretrained network as a record of pure functions and arrays."""

import dataclasses

from jft import families, loading, own, parallel
from jft.errors import UserError
from jft.models.head import Head
from jft.own import Own
from jft.pretrained import hub
from jft.pretrained.report import Report
from jft.spec import Spec
from jft.typing import Any, ApplyFn, Key, Params, Sequence, Variables


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
  arch: str | Own | None = None,
  num_classes: Head | int | None = None,
  key: Key | None = None,
  pretrained: bool = True,
  keep_blocks: Sequence[int] | None = None,
  reinit: Sequence[str] = (),
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
      config.json needs none. Or your own model, see `Own`.
    num_classes: a new head with so many outputs, or of a kind (`Head`), drawn
      from `key`, even where the source's head has as many. None keeps the
      source's head, 0 drops it.
    key: for what is initialised.
    pretrained: False initialises everything, to compare with.
    keep_blocks: numbers of the blocks to keep, in order; one that comes twice
      is doubled. None keeps all.
    reinit: regexes of leaves to start anew, such as "params/block_11/.*".
    sharding: where the leaves shall live: a `Sharding` for all of them, or a
      function (name, shape) -> Sharding; each leaf goes straight to its shards
      as soon as it is read. None is the default device.
    **options: `dtype`, `param_dtype`, `remat`; `attention`, who computes it
      (`jft.models.attention.attend`); and any field of the family's config.
      `in_channels`, `image_size` and `vocab_size` fit the weights.
      Images: `image_size`, `mean` and `std` of what the model was trained on,
      where the source does not say them, or not rightly.

  Raises:
    UserError: for a source that is missing, damaged or of another
      architecture, or a tensor that nothing accounts for.

  >>> net = load_pretrained("jft:resnet14_mnist")
  >>> net.report.counts()
  {'loaded': 77}
  """
  loading.check_classes(num_classes, 0)
  located = hub.locate(source)
  fresh = [*loading.new_head(num_classes), *reinit] if pretrained else [".*"]
  place, hashes = parallel.placer(sharding), located.hashes
  if isinstance(arch, Own):
    _check_own(num_classes, keep_blocks, options)
    loaded = own.load(arch, located, fresh, key, place)
  else:
    change = loading.Change(num_classes, tuple(fresh), keep_blocks, options)
    loaded = loading.fill(loading.plan(located, arch, change), key, place)
  hashes.begin()  # of the files as they were before they were read
  return Net(*loaded)


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
  return loading.architecture(hub.locate(source), None)[0].kind


def init(
  arch: str | Own,
  *,
  num_classes: Head | int | None = None,
  key: Key,
  **options: Any,
) -> Net:
  """Builds a network with random weights.

  Args:
    arch: a preset, such as "resnet18", or your own model.
    num_classes: outputs of the head; a preset needs it.
    key: draws the weights.
    **options: as for `load_pretrained`.
  """
  if isinstance(arch, Own):
    _check_own(num_classes, None, options)
    return Net(*own.init(arch, key))
  return Net(*loading.init(arch, num_classes, key, options))


def _check_own(num_classes: Any, keep_blocks: Any, options: Any) -> None:
  given = [
    name
    for name, value in (
      ("num_classes", num_classes),
      ("keep_blocks", keep_blocks),
    )
    if value is not None
  ]
  if given := [*given, *options]:
    raise UserError(
      f"{given[0]} is for jft's own architectures; change your model, and name"
      " what shall start anew in reinit."
    )
