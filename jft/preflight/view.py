"""A batch as the model gets it: what is attended to, and what is answered.

A function of a batch alone, so that it shows what is trained on, whatever
made it.
"""

import itertools
import textwrap

import numpy as np

from jft.models.decoder_config import writes
from jft.preflight.finding import Finding
from jft.spec import Spec
from jft.typing import Any, Batch, Callable

EXAMPLES = 3
_MEAN, _STD = 1.0, (0.25, 4.0)  # Beyond these, normalised pixels are odd.
_TINY, _USUAL = 0.02, 0.23  # Photographs deviate by about 0.23 of their range.
_TOKENS = 48
_WIDTH = 71
LEARNT = -1
"""The type of a token that a language model shall write."""


def check(
  batch: Batch,
  answer: Callable[[Any], str],
  where: Callable[[int], str],
  *,
  spec: Spec,
  token: Callable[[int], str | None] | None = None,
) -> list[Finding]:
  """Shows a few examples of a batch, and checks how pixels are normalised.

  Args:
    batch: from the host, as `data.batches` makes it.
    answer: label -> what it says.
    where: id -> what to call that example.
    spec: of the model; says the normalisation of images.
    token: id -> token, for a batch of tokens.
  """
  if "image" in batch:
    return [_of_images(batch, answer, where, spec)]
  if np.ndim(batch["input_ids"]) == 3:
    batch = _side_by_side(batch)
  if writes(spec.config):
    batch = _with_answers(batch)
  return [_of_tokens(batch, answer, where, token or str)]


def segments(
  batch: Batch, row: int, token: Callable[[int], str | None]
) -> list[dict[str, Any]]:
  """Splits one example's tokens where what the model does with them changes.

  Returns:
    [{"attended": bool, "type": int, "tokens": [str]}], in order; `type` is
    `LEARNT` where the model shall write the token.
  """
  ids = np.asarray(batch["input_ids"][row])
  attended = np.asarray(batch["attention_mask"][row]).astype(bool)
  types = np.asarray(batch.get("token_type_ids", np.zeros_like(ids[None])))
  types = types[row if len(types) > 1 else 0]
  flags = zip(attended.tolist(), types.tolist(), ids.tolist(), strict=True)
  return [
    {
      "attended": seen,
      "type": kind if seen else 0,
      "tokens": [str(token(i)) for _, _, i in run],
    }
    for (seen, kind), run in itertools.groupby(
      flags, key=lambda flag: (flag[0], flag[1] if flag[0] else 0)
    )
  ]


def _with_answers(batch: Batch) -> Batch:
  """Marks what a language model shall write, the end of a text included.

  A row holds no text's last token, which is only a label: it is put in.
  """
  mask = np.asarray(batch["attention_mask"]).astype(bool)
  segments = np.asarray(batch.get("segment_ids", mask), np.int64)
  rows = [
    _one_with_answers(ids[real], label[real], segment[real])
    for ids, label, segment, real in zip(
      batch["input_ids"], batch["label"], segments, mask, strict=True
    )
  ]
  width = max(mask.shape[1], *(len(ids) for ids, _ in rows))
  pad = int(np.asarray(batch["input_ids"])[~mask][0]) if (~mask).any() else 0
  shown = {
    "input_ids": np.full((len(rows), width), pad),
    "attention_mask": np.zeros((len(rows), width), np.int32),
    "token_type_ids": np.zeros((len(rows), width), np.int64),
  }
  for i, (ids, types) in enumerate(rows):
    shown["input_ids"][i, : len(ids)] = ids
    shown["attention_mask"][i, : len(ids)] = 1
    shown["token_type_ids"][i, : len(ids)] = types
  return {**batch, **shown}


def _one_with_answers(
  ids: np.ndarray, label: np.ndarray, segment: np.ndarray
) -> tuple[list[int], list[int]]:
  tokens, types = [], []
  for i, (token, asked, number) in enumerate(
    zip(ids.tolist(), label.tolist(), segment.tolist(), strict=True)
  ):
    learnt = i > 0 and label[i - 1] >= 0 and segment[i - 1] == number
    tokens.append(token)
    types.append(LEARNT if learnt else number)
    ends = i + 1 == len(ids) or segment[i + 1] != number
    if ends and asked >= 0:
      tokens.append(asked)
      types.append(LEARNT)
  return tokens, types


def _side_by_side(batch: Batch) -> Batch:
  """Two texts that are read apart, as segments of one row."""
  b, two, n = batch["input_ids"].shape
  types = np.repeat(np.arange(two), n)
  joined = {
    name: np.asarray(batch[name]).reshape(b, two * n)
    for name in ("input_ids", "attention_mask")
  }
  return {
    **batch,
    **joined,
    "token_type_ids": np.broadcast_to(types, (b, two * n)),
  }


def _of_tokens(
  batch: Batch,
  answer: Callable[[Any], str],
  where: Callable[[int], str],
  token: Callable[[int], str | None],
) -> Finding:
  rows, lines = [], []
  real, width = batch["attention_mask"].sum(), batch["input_ids"].shape[1]
  picked = _spread(np.asarray(batch["attention_mask"]).sum(1))
  for row in picked:
    parts = segments(batch, row, token)
    head = _head(batch, row, answer, where)
    rows.append({**head, "segments": parts})
    lines.append(f"{head['example']} -> {head['label_name']}")
    for part in parts:
      lines += _segment(part)
  padding = 1 - real / batch["input_ids"].size
  return Finding(
    "view",
    "ok",
    f"a training batch of {len(batch['label'])} x {width} tokens,"
    f" {100 * padding:.0f} % of them padding; {len(rows)} examples as the model"
    " reads them:\n" + "\n".join(lines),
    {"shape": list(batch["input_ids"].shape), "examples": rows},
  )


def _segment(part: dict[str, Any]) -> list[str]:
  tokens = part["tokens"]
  if not part["attended"]:
    kinds = ", ".join(sorted(set(tokens)))
    return [f"  hidden {len(tokens):>4}  {kinds}"]
  if len(tokens) > _TOKENS:
    half = _TOKENS // 2
    left = len(tokens) - 2 * half
    tokens = [*tokens[:half], f"... {left} more ...", *tokens[-half:]]
  what = "learn" if part["type"] == LEARNT else "read "
  return textwrap.wrap(
    " ".join(tokens),
    _WIDTH,
    initial_indent=f"  {what}  {len(part['tokens']):>4}  ",
    subsequent_indent=" " * 15,
    break_long_words=False,
    break_on_hyphens=False,
  )


def _of_images(
  batch: Batch,
  answer: Callable[[Any], str],
  where: Callable[[int], str],
  spec: Spec,
) -> Finding:
  images = np.asarray(batch["image"], np.float32)
  mean = images.mean((0, 1, 2), dtype=np.float64)
  std = images.std((0, 1, 2), dtype=np.float64)
  low, high = float(images.min()), float(images.max())
  least, most = _possible(spec)
  unit = _unit(spec)
  odd = (
    np.abs(mean).max() > _MEAN * unit
    or not _STD[0] * unit < std.min() <= std.max() < _STD[1] * unit
    or low < least - 1e-3
    or high > most + 1e-3
  )
  rows = [
    {
      **_head(batch, row, answer, where),
      "min": float(images[row].min()),
      "max": float(images[row].max()),
      "mean": float(images[row].mean()),
    }
    for row in range(min(EXAMPLES, len(images)))
  ]
  lines = [
    f"values {low:7.2f} to {high:5.2f}  (possible: {least:.2f} to {most:.2f})",
    f"mean   {_numbers(mean)}  (expected: about 0)",
    f"std    {_numbers(std)}  (expected: about {unit:.3g})",
    *(
      f"{row['example']} -> {row['label_name']}  ({row['min']:.2f} to"
      f" {row['max']:.2f}, mean {row['mean']:.2f})"
      for row in rows
    ),
  ]
  advice = (
    " They are far from what the model was trained on: see the mean and std of"
    " the model, and whether the pictures are too dark or too light."
    if odd
    else ""
  )
  shape = " x ".join(map(str, images.shape))
  return Finding(
    "view",
    "warning" if odd else "ok",
    f"a training batch of {shape}, normalised as (x / 255 -"
    f" {_numbers(spec.mean, '.3g')}) / {_numbers(spec.std, '.3g')}."
    f"{advice}\n" + "\n".join(lines),
    {
      "shape": list(images.shape),
      "min": low,
      "max": high,
      "mean": mean.tolist(),
      "std": std.tolist(),
      "examples": rows,
    },
  )


def _possible(spec: Spec) -> tuple[float, float]:
  """The least and the greatest value that a pixel can have."""
  mean, std = np.asarray(spec.mean), np.asarray(spec.std)
  return float((-mean / std).min()), float(((1 - mean) / std).max())


def _unit(spec: Spec) -> float:
  """What a normalised picture deviates by: 1, or as it is where the model only
  subtracts the mean of values from 0 to 255, as Caffe's do."""
  least = min(spec.std, default=1.0)
  return 1.0 if least > _TINY else _USUAL / least


def _head(
  batch: Batch,
  row: int,
  answer: Callable[[Any], str],
  where: Callable[[int], str],
) -> dict[str, Any]:
  label = np.asarray(batch["label"][row])
  return {
    "id": int(batch["id"][row]),
    "example": where(int(batch["id"][row])),
    "label": label.tolist(),
    "label_name": answer(label),
  }


def _spread(lengths: np.ndarray) -> list[int]:
  """The rows of the shortest, a middling and the longest text."""
  order = np.argsort(lengths, kind="stable")
  at = np.unique(np.linspace(0, len(order) - 1, EXAMPLES).astype(int))
  return order[at].tolist()


def _numbers(values: Any, form: str = "7.2f") -> str:
  return ", ".join(format(float(v), form) for v in values)
