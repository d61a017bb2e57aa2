"""Each model family: its code, its presets, its names in foreign files.

This is where models/ and pretrained/, which never import each other, meet.
"""

import functools
import types

from jft import cards
from jft.errors import UserError, did_you_mean
from jft.family import Family
from jft.models import (
  bert,
  convnext,
  convnext_config,
  densenet,
  distilbert,
  efficientnet,
  efficientnet_hf,
  gemma,
  gemma_to_hf,
  gpt2,
  llama,
  llama_config,
  mobilenetv2,
  mobilenetv2_hf,
  resnet,
  resnet_config,
  roberta,
  text_config,
  vgg,
  vit,
  vit_hf,
  vit_to_hf,
)
from jft.pretrained import timm_config
from jft.pretrained.names import bert as bert_names
from jft.pretrained.names import convnext as convnext_names
from jft.pretrained.names import densenet as densenet_names
from jft.pretrained.names import distilbert as distilbert_names
from jft.pretrained.names import efficientnet as efficientnet_names
from jft.pretrained.names import gemma as gemma_names
from jft.pretrained.names import gpt2 as gpt2_names
from jft.pretrained.names import llama as llama_names
from jft.pretrained.names import mobilenetv2 as mobilenetv2_names
from jft.pretrained.names import resnet as resnet_names
from jft.pretrained.names import roberta as roberta_names
from jft.pretrained.names import vgg as vgg_names
from jft.pretrained.names import vit as vit_names
from jft.pretrained.resample import resample_position
from jft.typing import Any, Mapping

RESNET = Family(
  "resnet",
  "image",
  resnet.PRESETS,
  resnet.module,
  resnet_names.DIALECTS,
  stem="params/stem(_0)?/conv/kernel",
  from_hf=resnet.Config.from_hf,
  to_hf=resnet_config.to_hf,
  model_types=("resnet",),
)

VGG = Family(
  "vgg",
  "image",
  vgg.PRESETS,
  vgg.module,
  vgg_names.DIALECTS,
  stem="params/block_00/conv/kernel",
)

DENSENET = Family(
  "densenet",
  "image",
  densenet.PRESETS,
  densenet.module,
  densenet_names.DIALECTS,
  stem="params/stem/conv/kernel",
)

CONVNEXT = Family(
  "convnext",
  "image",
  convnext.PRESETS,
  convnext.module,
  convnext_names.DIALECTS,
  stem="params/stem/conv/kernel",
  from_hf=convnext_config.from_hf,
  to_hf=convnext_config.to_hf,
  model_types=("convnext",),
)

MOBILENETV2 = Family(
  "mobilenetv2",
  "image",
  mobilenetv2.PRESETS,
  mobilenetv2.module,
  mobilenetv2_names.DIALECTS,
  stem="params/stem/conv/kernel",
  from_hf=mobilenetv2_hf.from_hf,
  to_hf=mobilenetv2_hf.to_hf,
  model_types=("mobilenet_v2",),
)

EFFICIENTNET = Family(
  "efficientnet",
  "image",
  efficientnet.PRESETS,
  efficientnet.module,
  efficientnet_names.DIALECTS,
  stem="params/stem/conv/kernel",
  from_hf=efficientnet_hf.from_hf,
  to_hf=efficientnet_hf.to_hf,
  model_types=("efficientnet",),
)

# The masked-word head's bias has a row for every word, too.
_WORDS = "params/(embeddings/word/embedding|head/bias)"

BERT = Family(
  "bert",
  "text",
  bert.PRESETS,
  bert.module,
  bert_names.DIALECTS,
  words=_WORDS,
  from_hf=bert.BertConfig.from_hf,
  to_hf=text_config.to_hf,
  model_types=("bert",),
)

ROBERTA = Family(
  "roberta",
  "text",
  roberta.PRESETS,
  roberta.module,
  roberta_names.DIALECTS,
  words=_WORDS,
  from_hf=roberta.RobertaConfig.from_hf,
  to_hf=text_config.to_hf,
  model_types=("roberta", "xlm-roberta", "camembert"),
)

DISTILBERT = Family(
  "distilbert",
  "text",
  distilbert.PRESETS,
  distilbert.module,
  distilbert_names.DIALECTS,
  words=_WORDS,
  from_hf=distilbert.DistilBertConfig.from_hf,
  to_hf=text_config.to_hf,
  model_types=("distilbert",),
)

LLAMA = Family(
  "llama",
  "text",
  llama.PRESETS,
  llama.module,
  llama_names.DIALECTS,
  words="params/embeddings/word/embedding",
  scores="params/head/kernel",
  from_hf=llama.LlamaConfig.from_hf,
  to_hf=llama_config.to_hf,
  model_types=llama_config.MODEL_TYPES,
)

GPT2 = Family(
  "gpt2",
  "text",
  gpt2.PRESETS,
  gpt2.module,
  gpt2_names.DIALECTS,
  words="params/embeddings/word/embedding",
  scores="params/head/kernel",
  from_hf=gpt2.Gpt2Config.from_hf,
  to_hf=gpt2.to_hf,
  model_types=("gpt2",),
)

GEMMA = Family(
  "gemma",
  "text",
  gemma.PRESETS,
  gemma.module,
  gemma_names.DIALECTS,
  words="params/embeddings/word/embedding",
  scores="params/head/kernel",
  from_hf=gemma.GemmaConfig.from_hf,
  to_hf=gemma_to_hf.to_hf,
  model_types=gemma.MODEL_TYPES,
)

VIT = Family(
  "vit",
  "image",
  vit.PRESETS,
  vit.module,
  vit_names.DIALECTS,
  from_hf=vit_hf.from_hf,
  to_hf=vit_to_hf.to_hf,
  model_types=vit_hf.MODEL_TYPES,
  stem="params/embeddings/patch/kernel",
  positions=lambda config: (
    (
      "params/embeddings/position/embedding",
      functools.partial(
        resample_position, prefix_tokens=config.prefix_positions
      ),
    ),
  ),
)

_ALL = (
  RESNET,
  VGG,
  DENSENET,
  CONVNEXT,
  EFFICIENTNET,
  MOBILENETV2,
  VIT,
  BERT,
  ROBERTA,
  DISTILBERT,
  LLAMA,
  GPT2,
  GEMMA,
)

FAMILIES: Mapping[str, Family] = types.MappingProxyType(
  {family.name: family for family in _ALL}
)


def recognise(found: Mapping[str, Any]) -> tuple[Family, Any] | None:
  """Returns the family and config that a source's own config.json names.

  Args:
    found: of jft (`family`, and `preset` or `config`), of timm
      (`architecture`) or of transformers (`model_type`).

  Raises:
    UserError: if the config asks for something that jft's family is not.
  """
  if "family" in found:
    family = FAMILIES.get(str(found["family"]))
    if "config" in found and family is not None:
      return family, cards.config_of(family.name, family.presets, found)
    return preset(str(found.get("preset", "")))
  if "architecture" in found:
    family, config = preset(str(found["architecture"]))
    return family, timm_config.configured(config, found)
  for family in FAMILIES.values():
    if family.from_hf and found.get("model_type") in family.model_types:
      return family, family.from_hf(found)
  return None


def preset(arch: str) -> tuple[Family, Any]:
  """Returns the family and config of a preset's name.

  Raises:
    UserError: if no family has it.

  >>> family, config = preset("resnet34")
  >>> family.name, config.stage_sizes
  ('resnet', (3, 4, 6, 3))
  """
  for family in FAMILIES.values():
    if arch in family.presets:
      return family, family.presets[arch]
  known = [name for family in FAMILIES.values() for name in family.presets]
  raise UserError(
    f"no architecture {arch!r}.{did_you_mean(arch, known)} There are:"
    f" {', '.join(known)}."
  )
