"""Optimizers by name: optax's, with one signature and their limits told.

A label of the params tree gets one of them (see `optim.by_label`); what a
config asks of an optimizer that does not have it is an error before anything
is compiled.
"""

import dataclasses
import types

import optax
from optax import contrib

from jft import tree
from jft.errors import UserError, did_you_mean
from jft.optim import decay_mask
from jft.typing import Any, Callable, Mapping, Params


@dataclasses.dataclass(frozen=True)
class Settings:
  """What optimizers can be told.

  Attributes:
    weight_decay: decoupled; decays: params -> which leaves.
    momentum: of SGD and LARS; b1, b2, eps: of Adam's kin.
    moments_dtype: of the (first) moments, None for the parameters' own.
  """

  weight_decay: float = 0.0
  decays: Callable[[Params], Params] = dataclasses.field(
    default_factory=decay_mask
  )
  momentum: float = 0.9
  b1: float = 0.9
  b2: float = 0.999
  eps: float = 1e-8
  moments_dtype: Any = None

  @property
  def adam(self) -> dict[str, Any]:
    """Adam's numbers."""
    return {"b1": self.b1, "b2": self.b2, "eps": self.eps}

  @property
  def decay(self) -> dict[str, Any]:
    """Decoupled weight decay, as most of optax takes it."""
    return {"weight_decay": self.weight_decay, "mask": self.decays}


@dataclasses.dataclass(frozen=True)
class Optimizer:
  """An optimizer and what it has.

  Attributes:
    make: (learning rate, settings) -> optax transform.
    decays: whether it has decoupled weight decay.
    light: whether its first moments can be kept in another type.
    schedule_free: whether it averages, and wants a constant rate.
  """

  make: Callable[[optax.Schedule, Settings], optax.GradientTransformation]
  decays: bool = True
  light: bool = False
  schedule_free: bool = False


def make(
  name: str, rate: optax.Schedule, settings: Settings
) -> optax.GradientTransformation:
  """Returns the optimizer of a name.

  Args:
    name: one of `NAMES`.
    rate: learning rate, by completed updates of its leaves.
    settings: what it is told.

  Raises:
    UserError: for an unknown name, or what that optimizer does not have.

  >>> import numpy as np
  >>> tx = make("lion", lambda count: 0.1, Settings())
  >>> zero = {"w": np.zeros(2, np.float32)}
  >>> update, _ = tx.update({"w": np.float32([3, -5])}, tx.init(zero), zero)
  >>> update["w"].tolist()
  [-0.10000000149011612, 0.10000000149011612]
  """
  if name not in NAMES:
    raise UserError(
      f"there is no optimizer {name!r}; choose one of {', '.join(NAMES)}."
      + did_you_mean(name, NAMES)
    )
  optimizer = NAMES[name]
  if settings.weight_decay and not optimizer.decays:
    raise UserError(
      f"weight_decay={settings.weight_decay} is decoupled, which {name!r} does"
      f" not have; use {', '.join(_where('decays'))}, or set it to 0."
    )
  if settings.moments_dtype is not None and not optimizer.light:
    raise UserError(
      f"{name!r} cannot keep its moments as {settings.moments_dtype};"
      f" {', '.join(_where('light'))} can."
    )
  return optimizer.make(rate, settings)


def is_matrix(name: str, leaf: Any) -> bool:
  """Whether Muon takes a leaf: hidden kernels, no head and no embedding."""
  return leaf.ndim == 2 and name.endswith("kernel") and "head" not in name


def _muon(rate: optax.Schedule, s: Settings) -> optax.GradientTransformation:
  """Muon on the kernels of hidden layers, AdamW on all other leaves.

  Source: Jordan et al., 2024 (kellerjordan.github.io/posts/muon).
  """

  def matrices(params: Params) -> Any:
    return tree.map_with_names(
      lambda name, leaf: (
        contrib.MuonDimensionNumbers() if is_matrix(name, leaf) else None
      ),
      params,
    )

  chosen: Any = matrices
  return contrib.muon(
    rate,
    beta=s.momentum,
    eps=s.eps,
    weight_decay=s.weight_decay,
    weight_decay_mask=s.decays,
    adam_b1=s.b1,
    adam_b2=s.b2,
    adam_weight_decay=s.weight_decay,
    mu_dtype=s.moments_dtype,
    muon_weight_dimension_numbers=chosen,
  )


def _schedule_free(
  rate: optax.Schedule, s: Settings
) -> optax.GradientTransformation:
  """AdamW whose momentum is an average; evaluate `average.schedule_free`'s.

  Source: Defazio et al., 2024 (arXiv:2405.15682).
  """
  base = optax.chain(
    optax.scale_by_rms(
      s.b2, eps=s.eps, eps_in_sqrt=False, bias_correction=True
    ),
    optax.add_decayed_weights(s.weight_decay, s.decays),
    optax.scale_by_learning_rate(rate),
  )
  return contrib.schedule_free(base, rate, b1=s.b1)


def _adafactor(
  rate: optax.Schedule, s: Settings
) -> optax.GradientTransformation:
  """Factored second moments, and by this rate alone: not by the weights' size.

  Source: Shazeer and Stern, 2018 (arXiv:1804.04235).
  """
  return optax.adafactor(
    rate,
    multiply_by_parameter_scale=False,
    weight_decay_rate=s.weight_decay or None,
    weight_decay_mask=s.decays,
  )


NAMES: Mapping[str, Optimizer] = types.MappingProxyType(
  {
    "adamw": Optimizer(
      lambda rate, s: optax.adamw(
        rate, **s.adam, **s.decay, mu_dtype=s.moments_dtype
      ),
      light=True,
    ),
    "adam": Optimizer(
      lambda rate, s: optax.adam(rate, **s.adam, mu_dtype=s.moments_dtype),
      decays=False,
      light=True,
    ),
    "sgd": Optimizer(
      lambda rate, s: optax.sgd(
        rate,
        s.momentum or None,
        nesterov=True,
        accumulator_dtype=s.moments_dtype,
      ),
      decays=False,
      light=True,
    ),
    "lamb": Optimizer(lambda rate, s: optax.lamb(rate, **s.adam, **s.decay)),
    "lars": Optimizer(
      lambda rate, s: optax.lars(
        rate,
        s.weight_decay,
        s.decays,
        trust_ratio_mask=s.decays,
        momentum=s.momentum,
      )
    ),
    "lion": Optimizer(
      lambda rate, s: optax.lion(
        rate, s.b1, s.b2, mu_dtype=s.moments_dtype, **s.decay
      ),
      light=True,
    ),
    "adafactor": Optimizer(_adafactor),
    "muon": Optimizer(_muon, light=True),
    "schedule_free": Optimizer(_schedule_free, schedule_free=True),
    "prodigy": Optimizer(
      lambda rate, s: contrib.prodigy(
        rate, (s.b1, s.b2), eps=s.eps, weight_decay=s.weight_decay
      )
    ),
  }
)
"""{name: optimizer}.

Sources: AdamW Loshchilov and Hutter, 2019 (arXiv:1711.05101); LAMB You et al.,
2020 (arXiv:1904.00962); LARS You et al., 2017 (arXiv:1708.03888); Lion Chen et
al., 2023 (arXiv:2302.06675); Prodigy Mishchenko and Defazio, 2024
(arXiv:2306.06101), which decays every leaf.
"""


def _where(what: str) -> list[str]:
  return [name for name, found in NAMES.items() if getattr(found, what)]
