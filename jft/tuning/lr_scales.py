"""Learning rates by leaf: each leaf's share of its label's rate.

Every optimizer here multiplies its direction, weight decay included, by the
learning rate last; a share of the update is a share of the rate. So the shares
are one transform behind the optimizer, whichever it is.
"""

import optax

from jft import rules as rule_engine
from jft import tree
from jft.errors import UserError
from jft.tuning import depth
from jft.typing import Iterable, Mapping, Rules


def layer_decay(names: Iterable[str], decay: float) -> dict[str, float]:
  """Returns {leaf: share}: `decay` times less with every block downwards.

  The head and what lies above the blocks have 1, the top block `decay`, the
  i-th of n blocks `decay ** (n - i)` and embeddings or a stem `decay ** (n +
  1)`.

  Args:
    names: of all leaves of params, the frozen ones too.
    decay: above 0, up to 1.

  Raises:
    UserError: for another decay, or a model without blocks.

  Source: BEiT, `get_num_layer_for_vit` (Bao et al., 2021, arXiv:2106.08254).
  timm's `param_groups_layer_decay` counts a final norm to the top block, and
  ELECTRA has one more factor between the head and the rest: see `by_rules`.

  >>> layer_decay(["stem/bias", "block_00/bias", "head/bias"], 0.5)
  {'stem/bias': 0.25, 'block_00/bias': 0.5, 'head/bias': 1.0}
  """
  if not 0 < decay <= 1:
    raise UserError(f"layer_decay={decay} must be above 0 and at most 1.")
  found = depth.depths(names)
  if decay != 1 and not depth.blocks(found):
    raise UserError(
      f"layer_decay={decay} goes by blocks, and no parameter lies in a"
      ' "block_00", "block_01", ...; give the shares by rules.'
    )
  top = max(found.values(), default=0)
  return {name: decay ** (top - at) for name, at in found.items()}


def by_rules(names: Iterable[str], rules: Rules) -> dict[str, float]:
  """Returns {leaf: share} by ordered rules: discriminative fine-tuning.

  Args:
    names: of the leaves that are trained.
    rules: ordered (regex, share); full match, the first match wins.

  Raises:
    UserError: for a share that is not above 0, an idle rule, or an uncovered
      name.

  Source: Howard and Ruder, 2018 (arXiv:1801.06146), section 3.1, where every
  layer has 1 / 2.6 of the rate of the one above.

  >>> by_rules(["stem/bias", "head/bias"], [("head/.*", 1.0), (".*", 0.1)])
  {'stem/bias': 0.1, 'head/bias': 1.0}
  """
  for pattern, share in rules:
    if not 0 < share < float("inf"):
      raise UserError(
        f"the rule {pattern!r} gives a share of {share} of the learning rate;"
        ' it must be above 0 (what must not move has the label "freeze").'
      )
  return rule_engine.match(rules, names)


def times(*shares: Mapping[str, float]) -> dict[str, float]:
  """Returns the products of {leaf: share}; a leaf that one lacks has 1 there.

  >>> times({"a": 0.5, "b": 0.5}, {"a": 0.1})
  {'a': 0.05, 'b': 0.5}
  """
  names = dict.fromkeys(name for share in shares for name in share)
  made = dict.fromkeys(names, 1.0)
  for share in shares:
    made = {name: made[name] * share.get(name, 1.0) for name in names}
  return made


def scale_by_name(
  shares: Mapping[str, float], factor: float = 1.0
) -> optax.GradientTransformation:
  """Multiplies every leaf's update by its share; has no state.

  Args:
    shares: {leaf: share}; a leaf that is not in it has 1.
    factor: of all leaves.
  """

  def update(updates, params=None):
    del params
    return tree.map_with_names(
      lambda name, x: x * (shares.get(name, 1.0) * factor), updates
    )

  return optax.stateless(update)
