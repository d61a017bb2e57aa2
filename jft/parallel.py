"""Where a step runs: data parallel by pmap, or jit over a mesh.

Both take the same pure step and the same state: a plain tree, replicated, with
no leading device axis. Under pmap each device computes its part of the batch
and the step sums over the axis "data"; under jit the compiler does that.
"""

import dataclasses
import functools

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec, Sharding

from jft.errors import UserError
from jft.typing import Any, Batch, Callable, Sequence

AXIS = "data"


def data_mesh(devices: Sequence[Any] | None = None) -> Mesh:
  """Returns a mesh with the one axis "data" over all (or these) devices."""
  return Mesh(np.asarray(devices or jax.devices()), (AXIS,))


@dataclasses.dataclass(frozen=True)
class Mapped:
  """A compiled step and where its arguments live.

  Attributes:
    run: (state, placed batch) -> (state, metrics); donates the state.
    mesh: the devices.
    stacked: does `run` want batches as [devices, rows per device, ...]?
  """

  run: Callable[..., Any]
  mesh: Mesh
  stacked: bool = False

  def __call__(self, state: Any, batch: Batch) -> Any:
    """Runs one step on a global batch, from the host or already placed.

    The state is donated: go on with the returned one.
    """
    return self.run(state, self.place(batch))

  def replicate(self, state: Any) -> Any:
    """Puts the whole state on every device, so that no step traces twice."""
    return replicate(state, self.mesh)

  def place(self, batch: Batch) -> Batch:
    """Puts a host batch on the devices; a placed batch is left as it is.

    Args:
      batch: arrays with one leading axis: the global batch, or this process's
        rows of it where there are several processes.

    Raises:
      UserError: if the rows do not divide by the devices.
    """
    if all(isinstance(x, jax.Array) for x in batch.values()):
      return batch
    devices = len(self.mesh.local_devices)
    rows = len(next(iter(batch.values())))
    if rows % devices:
      raise UserError(
        f"a batch of {rows} rows does not divide by {devices} devices; choose"
        f" a batch size that is a multiple of {self.mesh.devices.size}."
      )
    if self.stacked:
      batch = {
        name: x.reshape(devices, rows // devices, *x.shape[1:])
        for name, x in batch.items()
      }
    return shard_batch(batch, self.mesh)


Where = Sharding | Callable[[str, tuple[int, ...]], Sharding] | None
"""Where arrays live: in one way, as a function of (name, shape), or None for
the default device."""


def placer(where: Where) -> Callable[[str, Any], jax.Array]:
  """Returns (name, array of the host) -> the array on its devices.

  What is returned has arrived: the host's array may be freed.

  Args:
    where: of each array.

  Raises:
    UserError: from the returned function, if the shape does not divide.
  """

  def place(name: str, array: Any) -> jax.Array:
    if where is None:
      return jax.block_until_ready(jax.device_put(array))
    sharding = (
      where if isinstance(where, Sharding) else where(name, array.shape)
    )
    array = np.asarray(array)
    try:
      # Each device is given its part alone; device_put over several processes
      # would compare the whole arrays first.
      made = jax.make_array_from_callback(
        array.shape, sharding, lambda index: array[index]
      )
    except ValueError as error:
      raise UserError(
        f"{name} {array.shape} cannot be laid out as {sharding}: {error}"
      ) from error
    return jax.block_until_ready(made)

  return place


def replicate(tree: Any, mesh: Mesh) -> Any:
  """Puts every leaf, whole, on every device of the mesh.

  Over several processes each one gives its own, equal copy.
  """
  sharding = NamedSharding(mesh, PartitionSpec())
  if jax.process_count() == 1:
    return jax.device_put(tree, sharding)

  def put(x: Any) -> Any:
    if isinstance(x, jax.Array) and not x.is_fully_addressable:
      return x
    if jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key):
      data = put(jax.random.key_data(x))
      return jax.random.wrap_key_data(data, impl=jax.random.key_impl(x))
    return jax.make_array_from_process_local_data(sharding, np.asarray(x))

  return jax.tree.map(put, tree)


def shard_batch(batch: Batch, mesh: Mesh) -> Batch:
  """Cuts the leading axis of every array over the mesh's axis "data"."""
  sharding = NamedSharding(mesh, PartitionSpec(AXIS))
  if jax.process_count() == 1:
    return jax.device_put(batch, sharding)
  return {
    name: jax.make_array_from_process_local_data(sharding, rows)
    for name, rows in batch.items()
  }


def pmap(step: Callable[..., Any], mesh: Mesh | None = None) -> Mapped:
  """Maps step(state, batch, *, axis_name) over the devices, data parallel.

  Over several processes, where pmap's unstacked outputs would be local to each
  host, this is the shard_map over global arrays that pmap itself is made of.

  Args:
    step: as `make_train_step` returns.
    mesh: which devices, in order; all of them if None.
  """
  mesh = mesh or data_mesh()
  local = functools.partial(step, axis_name=AXIS)
  if jax.process_count() == 1:
    mapped = jax.pmap(
      local,
      AXIS,
      in_axes=(None, 0),
      out_axes=(None, None),
      devices=list(mesh.devices.flat),
      donate_argnums=0,
    )
    return Mapped(mapped, mesh, stacked=True)
  whole, rows = PartitionSpec(), PartitionSpec(AXIS)
  sharded = jax.shard_map(
    local,
    mesh=mesh,
    in_specs=(whole, rows),
    out_specs=(whole, whole),
    check_vma=False,  # The step sums its gradients itself, as under pmap.
  )
  return Mapped(jax.jit(sharded, donate_argnums=0), mesh)


def jit(step: Callable[..., Any], mesh: Mesh | None = None) -> Mapped:
  """Compiles step(state, batch) for a mesh; the compiler adds the sums.

  Dropout masks do not depend on the number of devices here, while under pmap
  each device draws its own.
  """
  mesh = mesh or data_mesh()
  whole = NamedSharding(mesh, PartitionSpec())
  rows = NamedSharding(mesh, PartitionSpec(AXIS))
  compiled = jax.jit(
    step,
    in_shardings=(whole, rows),
    out_shardings=(whole, whole),
    donate_argnums=0,
  )
  return Mapped(compiled, mesh)
