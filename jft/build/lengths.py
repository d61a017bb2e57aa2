"""What a config's lengths, in epochs or steps, come to in updates."""

from jft.typing import Any


def total_steps(config: Any, train_examples: int) -> int:
  """Returns how many updates a run makes."""
  per_epoch = train_examples / config.train.batch_size
  return config.train.steps or max(1, round(config.train.epochs * per_epoch))


def eval_every(config: Any, per_epoch: float, total: int) -> int:
  """Returns how many updates lie between two evaluations."""
  every = config.eval.every_steps or round(
    (config.eval.every_epochs or 1.0) * per_epoch
  )
  return max(1, min(every, total))


def resolved(config: Any, per_epoch: float, total: int) -> dict[str, Any]:
  """Returns what the config's lengths come to, in updates."""
  return {
    "seed": config.seed,
    "total_steps": total,
    "eval_every_steps": eval_every(config, per_epoch, total),
    "steps_per_epoch": round(per_epoch, 6),
  }
