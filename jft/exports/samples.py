"""Inputs to compare an export on: the run's own examples, or made-up ones."""

import dataclasses
import functools

import numpy as np
from PIL import Image

from jft import data
from jft.build.data import make_sources
from jft.build.task import reads as reads_of
from jft.data.text import Reads
from jft.data.tokens import Rows
from jft.errors import UserError
from jft.own import Own
from jft.spec import Spec
from jft.typing import Any, Mapping

COUNT = 8
MAX_TOKENS = 64  # of a text to compare on, where the run says no other limit

_TEXTS = (
  "A quiet film that stays with you.",
  "BAD acting, worse script; nobody laughed!",
  "The price rose by 3.5% on Tuesday, to $1,204.",
  "Zürich, São Paulo and 東京 are cities.",
  "short",
  "It was neither good nor bad, and that is the most that one can say of it.",
  "Is this a question?",
  "word " * 40,
)


@dataclasses.dataclass(frozen=True)
class Samples:
  """Examples as data sources give them.

  Attributes:
    examples: dicts with "image", "text" (and "text_pair") or "words".
    origin: where they are from, for the summary.
  """

  examples: tuple[Mapping[str, Any], ...]
  origin: str


def of_run(config: Any, spec: Spec) -> Samples:
  """Returns a run's own validation examples; made-up ones if they are gone."""
  try:
    sources = make_sources(config)
  except (UserError, OSError):
    return generated(spec)
  source = sources["val"]
  step = max(1, len(source) // COUNT)
  chosen = range(0, len(source), step)[:COUNT]
  found = tuple(source[i] for i in chosen)
  if reads_of(config) == "words":  # labels play no part here
    found = tuple({"words": example["words"]} for example in found)
  return Samples(found, f"{len(found)} examples of the run's val split")


def generated(spec: Spec) -> Samples:
  """Returns inputs that are the same every time."""
  if isinstance(spec.config, Own) or spec.kind != "image":
    return Samples(tuple({"text": t} for t in _TEXTS), "made-up inputs")
  rng = np.random.default_rng(0)
  side = spec.image_size
  channels = 1 if spec.config.in_channels == 1 else 3
  pictures = []
  for more in (0, 13, 40, side):
    coarse = rng.integers(0, 256, (6, 7, channels), np.uint8)
    picture = Image.fromarray(coarse[..., 0] if channels == 1 else coarse)
    large = picture.resize((side + more, side + more // 2), 3)
    pictures.append({"image": np.asarray(large)})
  return Samples(tuple(pictures), "made-up inputs")


def inputs(
  samples: Samples,
  spec: Spec,
  max_length: int = 0,
  new_tokens: tuple[str, ...] = (),
  reads: Reads = "text",
) -> Any:
  """Returns the samples as the network reads them.

  Args:
    samples: the raw examples.
    spec: of the network that is to read them: its tokenizer or preparation.
    max_length, new_tokens, reads: of texts, as of a `Subject`.

  Returns:
    Float[b h w c], or {name: Int[b n]}.
  """
  if isinstance(spec.config, Own):
    return _own(spec.config)
  if spec.kind == "image":
    return _images(samples, spec)
  if spec.tokenizer is None:
    return _tokens(spec.config.vocab_size, max_length or spec.config.max_tokens)
  tokenizer = data.load_tokenizer(
    spec.tokenizer,
    max_length=max_length or min(spec.max_tokens, MAX_TOKENS),
    reads=reads,
    new_tokens=new_tokens,
  )
  return _texts(samples, tokenizer)


def _own(own: Own) -> Any:
  if isinstance(own.inputs, Mapping):
    return {name: np.asarray(x) for name, x in own.inputs.items()}
  shape = np.shape(own.inputs)
  drawn = np.random.default_rng(0).normal(size=shape)
  return drawn.astype(np.asarray(own.inputs).dtype)


def _images(samples: Samples, spec: Spec) -> np.ndarray:
  channels = spec.config.in_channels
  if channels not in (1, 3):
    shape = (4, spec.image_size, spec.image_size, channels)
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)
  encode = functools.partial(
    data.to_float,
    size=spec.image_size,
    mean=spec.mean,
    std=spec.std,
    channels=channels,
    resize=spec.resize or "bilinear",
    crop_pct=spec.crop_pct,
    squeeze=spec.squeeze,
  )
  return np.stack([encode(example["image"]) for example in samples.examples])


def _tokens(words: int, most: int) -> dict[str, np.ndarray]:
  """Of a model without a tokenizer: any ids."""
  rng = np.random.default_rng(0)
  shape = (4, min(16, most))
  ids = rng.integers(0, words, shape, np.int32)
  mask = np.ones(shape, np.int32)
  return {"input_ids": ids, "attention_mask": mask, "token_type_ids": 0 * mask}


def _texts(samples: Samples, tokenizer: data.Tokenizer) -> dict[str, Any]:
  examples = samples.examples
  if tokenizer.reads == "words" and "words" in examples[0]:
    encoded = tokenizer.encode_words([e["words"] for e in examples])
  elif tokenizer.reads == "apart" and "text_pair" in examples[0]:
    texts = [e[key] for e in examples for key in ("text", "text_pair")]
    encoded = tokenizer.encode_batch(texts)
  else:
    pairs = None
    if "text_pair" in examples[0]:
      pairs = [e["text_pair"] for e in examples]
    encoded = tokenizer.encode_batch([e["text"] for e in examples], pairs)
  rows = Rows.of(encoded)
  longest = int(rows.lengths.max())
  return rows.padded(np.arange(len(encoded)), longest, tokenizer.pad_id)
