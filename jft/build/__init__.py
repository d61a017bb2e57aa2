"""Configs into functions: the only place where strings become code."""

from jft.build.check import check
from jft.build.run import Run, build

__all__ = ["Run", "build", "check"]
