"""Changes to a network that is already loaded; each returns a new one."""

import dataclasses

import jax.numpy as jnp
import numpy as np

from jft import tree
from jft.errors import UserError, did_you_mean
from jft.net import Net
from jft.pretrained.report import Report
from jft.typing import Any, Mapping


def replace(net: Net, name: str, values: Any) -> Net:
  """Returns the network with one subtree's values replaced.

  Args:
    net: left as it is.
    name: of a leaf or a subtree, such as "params/block_03/mlp".
    values: an array, or a dict with the same names and shapes.

  Raises:
    UserError: for a name that is not there, or values of another structure.

  >>> import jft
  >>> net = jft.load_pretrained("jft:resnet14_mnist")
  >>> new = replace(net, "params/head/bias", np.zeros(10))
  >>> new.report.counts()
  {'loaded': 76, 'reinit': 1}
  """
  flat = tree.flatten(net.variables)
  inside = {
    leaf.removeprefix(name).lstrip("/"): leaf
    for leaf in flat
    if leaf == name or leaf.startswith(name + "/")
  }
  if not inside:
    raise UserError(f"the network has no {name!r}.{did_you_mean(name, flat)}")
  given = tree.flatten(values) if isinstance(values, Mapping) else {"": values}
  if given.keys() != inside.keys():
    other = sorted(given.keys() ^ inside.keys())
    raise UserError(
      f"{name!r} holds {len(inside)} leaves, got {len(given)}; {other[0]!r} is"
      " on one side alone."
    )
  for rest, leaf in inside.items():
    flat[leaf] = _fitting(leaf, flat[leaf], given[rest])
  return _changed(net, flat, set(inside.values()))


def cast(net: Net, dtype: Any) -> Net:
  """Returns the network with its parameters in another floating dtype.

  Statistics such as BatchNorm's stay as they are: sums of many values need
  their digits.

  Args:
    net: left as it is.
    dtype: such as "bfloat16".

  Raises:
    UserError: if a value does not fit into the dtype.
  """
  flat = tree.flatten(net.variables)
  for name, leaf in flat.items():
    if name.startswith("params/") and jnp.issubdtype(leaf.dtype, jnp.floating):
      flat[name] = leaf.astype(dtype)
      if not bool(jnp.isfinite(flat[name]).all()):
        raise UserError(f"{name} has values that {dtype} cannot hold.")
  return dataclasses.replace(net, variables=tree.unflatten(flat))


def _fitting(name: str, old: Any, new: Any) -> Any:
  if np.shape(new) != np.shape(old):
    raise UserError(
      f"{name}: expected shape {np.shape(old)}, got {np.shape(new)}."
    )
  return jnp.asarray(new, old.dtype)


def _changed(net: Net, flat: dict[str, Any], names: set[str]) -> Net:
  rows = tuple(
    dataclasses.replace(row, status="reinit", reason="replaced")
    if row.name in names
    else row
    for row in net.report
  )
  return dataclasses.replace(
    net, variables=tree.unflatten(flat), report=Report(rows)
  )
