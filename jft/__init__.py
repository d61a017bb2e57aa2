"""jft: functional fine-tuning of pretrained models in JAX and Flax.

  net = jft.load_pretrained("jft:resnet14_mnist", num_classes=10, key=key)
  labels = jft.freeze.label(net.params, jft.freeze.top_blocks(net.params, 2))
  tx = jft.optim.by_label({"head": ..., "backbone": ...}, labels, clip_norm=1.0)
  step = jft.parallel.pmap(jft.make_train_step(net.apply, task, tx))
  state = step.replicate(jft.TrainState.create(net, labels, tx))
  state, metrics = step(state, batch)

`jft.fit(config, workdir)` is that loop with checkpoints, early stopping,
roll-back and a report; `jft train` is `fit` from a shell.
"""

import importlib
import typing

# What is imported from where, on first use: `import jft` alone costs nothing.
_NAMES = {
  "Checkpointer": "jft.checkpoint",
  "Net": "jft.net",
  "Own": "jft.own",
  "Sampling": "jft.sampling",
  "TrainState": "jft.state",
  "UserError": "jft.errors",
  "evaluate": "jft.evaluation",
  "export": "jft.exports.writing",
  "fit": "jft.loop",
  "generate": "jft.generation",
  "init": "jft.net",
  "load_pretrained": "jft.net",
  "make_eval_step": "jft.step",
  "make_train_step": "jft.step",
}
_MODULES = {
  "freeze": "jft.tuning.freeze",
  **{
    name: f"jft.{name}"
    for name in (
      "adapters",
      "class_weights",
      "config",
      "data",
      "distill",
      "losses",
      "metrics",
      "optim",
      "parallel",
      "quantize",
      "r_drop",
      "rules",
      "schedules",
      "surgery",
      "tasks",
      "tree",
    )
  },
}

__all__ = sorted([*_NAMES, *_MODULES])


def __getattr__(name: str) -> typing.Any:
  if name in _NAMES:
    return getattr(importlib.import_module(_NAMES[name]), name)
  if name in _MODULES:
    return importlib.import_module(_MODULES[name])
  raise AttributeError(f"module 'jft' has no attribute {name!r}")


def __dir__() -> list[str]:
  return __all__
