"""What an adapter is, and how a network runs with some of them.

An adapter's tree lies in `params["adapters"][NAME]`, by the names of the
model's modules. The model knows nothing of it: its parameters keep their names,
and Linen's interceptors put the side paths in.
"""

import contextlib
import contextvars
import zlib
from typing import Protocol

import flax.linen as nn
import jax

from jft.errors import UserError, did_you_mean
from jft.tuning.adapters.sites import Site
from jft.typing import Any, ApplyFn, Callable, Key, Mapping, Params, Sequence

ADAPTERS = "adapters"
"""The top-level name of all adapters in a params tree."""

_ASIDE = contextvars.ContextVar("aside", default=False)

Interceptor = Callable[..., Any]
"""(next_fun, args, kwargs, context) -> output, see `nn.intercept_methods`."""


class Method(Protocol):
  """A way of adapting; an implementation is a frozen dataclass."""

  def init(self, params: Params, key: Key, sites: Mapping[str, Site]) -> Params:
    """Returns a fresh tree, nested by the names of the modules.

    Args:
      params: of the base alone, arrays or shapes.
      key: draws the values.
      sites: {name: what is known of the module}, see `probe`.

    Raises:
      UserError: for what does not fit this model.
    """
    ...

  def rebase(self, params: Params, tree: Params) -> Params:
    """Returns the base's params to run beside a fresh tree: as they are.

    Args:
      params: of the base alone.
      tree: as `init` returned it.
    """
    return params

  def intercept(
    self, tree: Params, *, train: bool, key: Key | None
  ) -> Interceptor:
    """Returns the interceptor that runs one tree.

    Args:
      tree: as `init` returned it, then trained.
      train: drop out.
      key: of its dropout; None without.
    """
    ...

  def merge(self, params: Params, tree: Params) -> Params:
    """Returns the base's params with the adapter worked in.

    Raises:
      UserError: if it is none that can be merged.
    """
    ...


def wrap(
  apply: ApplyFn, methods: Mapping[str, Method], active: Sequence[str]
) -> ApplyFn:
  """Returns the apply of a base with adapters.

  It takes `params["adapters"]` out and runs the rest under the interceptors of
  the active ones; params without any are the base's.

  Args:
    apply: of the base.
    methods: {name: method} of all adapters.
    active: names of those that run, the first one next to the module.

  Raises:
    UserError: from the apply, if an active adapter has no tree.
  """
  chosen = {name: methods[name] for name in active}

  def adapted(
    variables: Mapping[str, Any],
    inputs: Any,
    *,
    train: bool = False,
    rngs: Mapping[str, Key] | None = None,
    **options: Any,
  ) -> Any:
    params = dict(variables["params"])
    trees = params.pop(ADAPTERS, {})
    base = {**variables, "params": params}
    with contextlib.ExitStack() as stack:
      for name, method in chosen.items() if trees else ():
        tree, key = _tree(trees, name), _key(rngs, name)
        intercept = method.intercept(tree, train=train, key=key)
        stack.enter_context(nn.intercept_methods(_not_aside(intercept)))
      return apply(base, inputs, train=train, rngs=rngs, **options)

  return adapted


@contextlib.contextmanager
def aside():
  """Within the context no adapter applies: side paths may call modules."""
  token = _ASIDE.set(True)
  try:
    yield
  finally:
    _ASIDE.reset(token)


def module_key(key: Key, module: nn.Module) -> Key:
  """Returns the key of one module's side path."""
  return jax.random.fold_in(key, _hash("/".join(module.path)))


def subtree(tree: Params, module: nn.Module) -> Params | None:
  """Returns what an adapter's tree has under a module's name, or None.

  The network itself has the name "".
  """
  if not module.path:
    return tree.get("")
  for part in module.path:
    if not isinstance(tree, Mapping) or part not in tree:
      return None
    tree = tree[part]
  return tree


def _not_aside(intercept: Interceptor) -> Interceptor:
  def guarded(next_fun: Any, args: Any, kwargs: Any, context: Any) -> Any:
    if _ASIDE.get():
      return next_fun(*args, **kwargs)
    return intercept(next_fun, args, kwargs, context)

  return guarded


def _tree(trees: Params, name: str) -> Params:
  if name not in trees:
    raise UserError(
      f"the params hold no adapter {name!r}, only {sorted(trees)}."
      + did_you_mean(name, trees)
    )
  return trees[name]


def _key(rngs: Mapping[str, Key] | None, name: str) -> Key | None:
  if not rngs or "dropout" not in rngs:
    return None
  return jax.random.fold_in(rngs["dropout"], _hash(f"{ADAPTERS}/{name}"))


def _hash(name: str) -> int:
  return zlib.crc32(name.encode())
