"""The preflight: what is wrong with a run, before compute is burnt on it.

  findings = preflight.quick(run)     # before every run: costs next to nothing
  preflight.refuse(findings)          # raises where training would be in vain
  print(preflight.render(findings, least="note"))

`full` is `jft check`: it looks at every example and trains a little.
"""

from jft.preflight.finding import Finding, refuse, render
from jft.preflight.long import full
from jft.preflight.short import quick

__all__ = ["Finding", "full", "quick", "refuse", "render"]
