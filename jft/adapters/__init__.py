"""A network with adapters: add, choose, merge, and take apart again."""

from jft.adapters.adapted import Adapted, add, bare, base, sites, switch
from jft.adapters.merged import Merged, merge, unmerge
from jft.adapters.peft_folder import load_peft
from jft.adapters.weighted import weighted
from jft.tuning.adapters.dora import DoRA
from jft.tuning.adapters.lora import LoRA, Rank
from jft.tuning.adapters.pissa import PiSSA

__all__ = [
  "Adapted",
  "DoRA",
  "LoRA",
  "Merged",
  "PiSSA",
  "Rank",
  "add",
  "bare",
  "base",
  "load_peft",
  "merge",
  "sites",
  "switch",
  "unmerge",
  "weighted",
]
