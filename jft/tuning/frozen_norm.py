"""A frozen BatchNorm stays as it was: statistics used, never updated.

BatchNorm drifts even when every parameter is frozen, since train mode updates
its running statistics and normalises by the batch. So a BatchNorm module whose
parameters are all frozen runs in inference mode. The model's code is left
alone: Linen's method interceptor overrides that one argument.
"""

import contextlib
import contextvars

import flax.linen as nn

from jft import tree
from jft.typing import Callable, Params


def frozen_modules(trained: Params, frozen: Params) -> frozenset[str]:
  """Returns the names of the modules that own frozen parameters alone.

  >>> sorted(frozen_modules({"a": {"norm": {"scale": 1}}},
  ...                       {"a": {"norm": {"bias": 1}, "fc": {"bias": 1}}}))
  ['a/fc']
  """
  owners = [
    {name.rpartition("/")[0] for name in tree.flatten(half)}
    for half in (trained, frozen)
  ]
  return frozenset(owners[1] - owners[0])


def still(policy: str, trained: Params, frozen: Params) -> frozenset[str]:
  """Returns the modules whose BatchNorms run on their running statistics.

  Args:
    policy: "auto": those that are frozen whole; "frozen": all; "update": none.
    trained, frozen: the two halves of the params.

  >>> sorted(still("frozen", {"norm": {"scale": 1}}, {"fc": {"bias": 1}}))
  ['fc', 'norm']
  """
  if policy == "update":
    return frozenset()
  if policy == "frozen":
    return frozen_modules({}, tree.merge(trained, frozen))
  return frozen_modules(trained, frozen)


_HELD = contextvars.ContextVar("held", default=frozenset())
_MEASURING = contextvars.ContextVar("measuring", default=False)


def held() -> frozenset[str]:
  """The modules of the innermost `inference_mode`, for models not in Linen."""
  return _HELD.get()


def measuring() -> bool:
  """Is this within `batch_statistics`? For models not in Linen."""
  return _MEASURING.get()


@contextlib.contextmanager
def inference_mode(modules: frozenset[str]):
  """Within the context, these BatchNorm modules use running statistics.

  Args:
    modules: module names, "/"-joined, as `frozen_modules` returns.
  """
  token = _HELD.set(modules)
  try:
    with _forced(modules.__contains__, use_running_average=True):
      yield
  finally:
    _HELD.reset(token)


@contextlib.contextmanager
def batch_statistics():
  """Within the context, every BatchNorm keeps the last batch's statistics.

  It normalises by them, in train mode or not, and what was there before leaves
  no trace.
  """
  token = _MEASURING.set(True)
  try:
    with _forced(lambda name: True, use_running_average=False, momentum=0.0):
      yield
  finally:
    _MEASURING.reset(token)


def _forced(
  chosen: Callable[[str], bool],
  *,
  use_running_average: bool,
  momentum: float | None = None,
):
  """Returns a context in which the chosen BatchNorms run in this way."""

  def intercept(next_fun, args, kwargs, context):
    module = context.module
    if (
      context.method_name != "__call__"
      or not isinstance(module, nn.BatchNorm)
      or not chosen("/".join(module.path))
    ):
      return next_fun(*args, **kwargs)
    # The flag may have been set on the module or be given in the call, and
    # Linen refuses both at once: clear the former, override the latter.
    before = module.use_running_average, module.momentum
    object.__setattr__(module, "use_running_average", None)
    if momentum is not None:
      object.__setattr__(module, "momentum", momentum)
    flag = {"use_running_average": use_running_average}
    try:
      return next_fun(args[0], **{**kwargs, **flag})
    finally:
      object.__setattr__(module, "use_running_average", before[0])
      object.__setattr__(module, "momentum", before[1])

  return nn.intercept_methods(intercept)
