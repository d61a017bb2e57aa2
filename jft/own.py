"""A user's own Flax model enters through the door of the built-in ones."""

import dataclasses
from typing import NamedTuple

import jax

from jft import tree
from jft.errors import UserError
from jft.models import own as models
from jft.models.own import Pure
from jft.pretrained import adapt, formats, hub
from jft.pretrained.hashing import Hashes
from jft.pretrained.layouts import Entry
from jft.pretrained.report import Report, Row
from jft.spec import Spec
from jft.typing import (
  Any,
  ApplyFn,
  Key,
  Mapping,
  Rules,
  Sequence,
  Variables,
)


@dataclasses.dataclass(frozen=True, eq=False)
class Own:
  """An own model; give it as `arch` to `load_pretrained` or `init`.

  Attributes:
    model: a Linen module, or an NNX model, which is left as it is. Its
      `__call__` takes the inputs and, if it has them, `train` and `axis_name`.
    inputs: an example of them, [1 h w c] or a dict with `input_ids`.
    table: {name: source name, or Entry}, with names such as
      "params/conv/kernel" and "batch_stats/norm/mean"; None where the source
      has these very names.
    dropped: (regex over the source's names, reason) of what is not needed.
    resize: (regex over the model's names, fn(array, shape)) of what may be
      fitted.
  """

  model: Any
  inputs: Any
  table: Mapping[str, Entry | str] | None = None
  dropped: Rules = ()
  resize: Rules = ()

  @property
  def kind(self) -> str:
    """Returns "text" for a model of token ids, "image" for any other."""
    return "text" if isinstance(self.inputs, Mapping) else "image"


class Loaded(NamedTuple):
  """The fields of a `jft.net.Net`."""

  apply: ApplyFn
  variables: Variables
  spec: Spec
  report: Report


def load(
  own: Own,
  located: hub.Located,
  reinit: Sequence[str],
  key: Key | None,
  place: adapt.Place,
) -> Loaded:
  """Fills an own model from a source.

  Args:
    own: the model.
    located: the source.
    reinit: regexes of leaves to leave as the model draws them.
    key: draws them.
    place: see `adapt`.

  Raises:
    UserError: as `load_pretrained`.
  """
  pure = models.pure(own.model, own.inputs)
  weights = formats.read(located.weights)
  names = own.table if own.table is not None else {n: n for n in pure.shapes}
  table = {
    name: entry if isinstance(entry, Entry) else Entry(entry)
    for name, entry in names.items()
  }
  flat, report = adapt.adapt(
    pure.shapes,
    weights,
    table,
    own.dropped,
    initial=_drawn(pure, key) if reinit else {},
    reinit=reinit,
    resize=own.resize,
    place=place,
  )
  variables = tree.unflatten(flat)
  spec = _spec(own, located.source, located.hashes)
  return Loaded(pure.apply, variables, spec, report)


def init(own: Own, key: Key) -> Loaded:
  """Lets an own model draw its own weights; an NNX model has them already."""
  pure = models.pure(own.model, own.inputs)
  rows = tuple(
    Row(name, None, "reinit", tuple(leaf.shape), None, "no source")
    for name, leaf in pure.shapes.items()
  )
  variables = tree.unflatten(_drawn(pure, key))
  return Loaded(pure.apply, variables, _spec(own, "", Hashes()), Report(rows))


def _drawn(pure: Pure, key: Key | None) -> dict[str, Any]:
  if key is None:
    raise UserError("leaves are to be initialised: give key=jax.random.key(0).")
  return jax.jit(pure.draw)(key)


def _spec(own: Own, source: str, hashes: Hashes) -> Spec:
  return Spec(
    type(own.model).__name__,
    own.kind,
    "",
    own,
    None,
    source=source,
    hashes=hashes,
  )
