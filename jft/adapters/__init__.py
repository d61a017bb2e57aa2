"""A network with adapters: add, choose, merge, and take apart again."""

from jft.adapters.adapted import Adapted, add, bare, base, sites, switch
from jft.adapters.merged import Merged, merge, unmerge
from jft.adapters.peft_folder import load_peft
from jft.adapters.weighted import weighted
from jft.tuning.adapters.bottleneck import houlsby, parallel
from jft.tuning.adapters.dora import DoRA
from jft.tuning.adapters.ia3 import IA3
from jft.tuning.adapters.lora import LoRA, Rank
from jft.tuning.adapters.pissa import PiSSA
from jft.tuning.adapters.prefix import Prefix
from jft.tuning.adapters.prompt import Prompt
from jft.tuning.adapters.vpt import VPT

__all__ = [
  "IA3",
  "VPT",
  "Adapted",
  "DoRA",
  "LoRA",
  "Merged",
  "PiSSA",
  "Prefix",
  "Prompt",
  "Rank",
  "add",
  "bare",
  "base",
  "houlsby",
  "load_peft",
  "merge",
  "parallel",
  "sites",
  "switch",
  "unmerge",
  "weighted",
]
