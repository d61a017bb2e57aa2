"""What llama2.c computes, in NumPy from its run.c, and nothing of jft's.

  JFT_DATA=... python -m golden.llama2c_numpy      (in tests/)

writes llama2c_stories.json: the tokens and the text that the two published
models tell from <s> at temperature 0.

Source: llama2.c, run.c: memory_map_weights, forward, encode, decode.
"""

import json
import os
import pathlib
import struct

import numpy as np

FILE = pathlib.Path(__file__).parent / "llama2c_stories.json"
STEPS = 64
MODELS = {
  "stories260K": "llama2c-stories260K/tok512.bin",
  "stories15M": "llama2c-stories15M/tokenizer.bin",
}


def read(path):
  """Returns the header's fields and {name: array with one row a layer}."""
  data = pathlib.Path(path).read_bytes()
  fields = ("dim", "hidden", "layers", "heads", "kv_heads", "vocab", "seq")
  p = dict(zip(fields, struct.unpack("<7i", data[:28]), strict=True))
  values, at = np.frombuffer(data, "<f4", offset=28), 0
  shared, p["vocab"] = p["vocab"] > 0, abs(p["vocab"])
  size = p["dim"] // p["heads"]
  d, n, kv = p["dim"], p["layers"], p["kv_heads"] * size
  w = {}
  for name, shape in (
    ("words", (p["vocab"], d)),
    ("rms_att", (n, d)),
    ("wq", (n, d, d)),
    ("wk", (n, kv, d)),
    ("wv", (n, kv, d)),
    ("wo", (n, d, d)),
    ("rms_ffn", (n, d)),
    ("w1", (n, p["hidden"], d)),
    ("w2", (n, d, p["hidden"])),
    ("w3", (n, p["hidden"], d)),
    ("rms_final", (d,)),
    ("freq_cis", (2, p["seq"], size // 2)),
    ("wcls", (0 if shared else p["vocab"], d)),
  ):
    count = int(np.prod(shape))
    w[name], at = values[at : at + count].reshape(shape), at + count
  if at != values.size:
    raise ValueError(f"{path}: {at} values of {values.size}")
  return p, w | ({"wcls": w["words"]} if shared else {})


def rms(x, weight):
  scale = np.float32(1) / np.sqrt(np.mean(x * x) + np.float32(1e-5))
  return weight * (scale * x)


def rotated(vector, pos, size):
  """Turns each pair of neighbours of each head."""
  i = np.arange(0, size, 2, dtype=np.float32)
  angle = np.float32(pos) / np.float32(10000) ** (i / np.float32(size))
  cos, sin = np.cos(angle), np.sin(angle)
  v = vector.reshape(-1, size // 2, 2)
  turned = [
    v[..., 0] * cos - v[..., 1] * sin,
    v[..., 0] * sin + v[..., 1] * cos,
  ]
  return np.stack(turned, -1).reshape(-1, size)


def softmax(x):
  e = np.exp(x - x.max(-1, keepdims=True))
  return e / e.sum(-1, keepdims=True)


def forward(p, w, token, pos, cache):
  """Returns the logits of one token; `cache` is [layer][0 or 1] of lists."""
  size, repeats = p["dim"] // p["heads"], p["heads"] // p["kv_heads"]
  x = w["words"][token].copy()
  for layer in range(p["layers"]):
    xb = rms(x, w["rms_att"][layer])
    q = rotated(w["wq"][layer] @ xb, pos, size)
    keys, values = cache[layer]
    keys.append(rotated(w["wk"][layer] @ xb, pos, size))
    values.append((w["wv"][layer] @ xb).reshape(-1, size))
    k = np.repeat(np.stack(keys), repeats, 1)
    v = np.repeat(np.stack(values), repeats, 1)
    scores = np.einsum("hs,ths->ht", q, k) / np.float32(np.sqrt(size))
    mixed = np.einsum("ht,ths->hs", softmax(scores), v).reshape(-1)
    x += w["wo"][layer] @ mixed
    xb = rms(x, w["rms_ffn"][layer])
    gate = w["w1"][layer] @ xb
    gate = gate * (1 / (1 + np.exp(-gate))) * (w["w3"][layer] @ xb)
    x += w["w2"][layer] @ gate
  return w["wcls"] @ rms(x, w["rms_final"])


def greedy(p, w, steps=STEPS):
  """Returns tokens [steps] told after <s>, and the logits of each step."""
  cache = [([], []) for _ in range(p["layers"])]
  token, told, logits = 1, [], []
  for pos in range(steps):
    logits.append(forward(p, w, token, pos, cache))
    token = int(np.argmax(logits[-1]))
    told.append(token)
  return told, np.stack(logits)


def vocabulary(path):
  """Returns the texts and scores of a tokenizer.bin."""
  data, at, rows = pathlib.Path(path).read_bytes(), 4, []
  while at < len(data):
    score, count = struct.unpack_from("<fi", data, at)
    rows.append((data[at + 8 : at + 8 + count], score))
    at += 8 + count
  return rows


def encode(rows, text):
  """Returns the tokens of a text, with <s>, merging as run.c does.

  Where two pieces are the same text (older files hold the bytes themselves)
  run.c takes any; here the last one, which is the piece and not the byte.
  """
  ids = {piece: i for i, (piece, _) in enumerate(rows)}
  tokens = [ids[b" "]] if text else []
  for letter in text:
    found = ids.get(letter.encode())
    tokens += [b + 3 for b in letter.encode()] if found is None else [found]
  while True:
    best = (-1e10, None, None)
    for i in range(len(tokens) - 1):
      merged = ids.get(rows[tokens[i]][0] + rows[tokens[i + 1]][0])
      if merged is not None and rows[merged][1] > best[0]:
        best = (rows[merged][1], i, merged)
    if best[1] is None:
      return [1, *tokens]
    tokens[best[1] : best[1] + 2] = [best[2]]


def decode(rows, tokens):
  """Returns the text told after <s>."""
  out = b""
  for before, token in zip([1, *tokens], tokens, strict=False):
    piece = rows[token][0]
    if before == 1 and piece.startswith(b" "):
      piece = piece[1:]
    if piece.startswith(b"<0x") and len(piece) == 6:
      piece = bytes([int(piece[3:5], 16)])
    out += piece
  return out.decode("utf-8", "replace")


def main():
  root = pathlib.Path(os.environ["JFT_DATA"])
  found = {}
  for name, tokenizer in MODELS.items():
    told, logits = greedy(*read(root / f"llama2c-{name}" / f"{name}.bin"))
    ordered = np.sort(logits, -1)
    found[name] = {
      "tokens": told,
      "text": decode(vocabulary(root / tokenizer), told),
      "best_logits": [round(float(x), 4) for x in ordered[:, -1]],
      "smallest_lead": round(float((ordered[:, -1] - ordered[:, -2]).min()), 5),
    }
  FILE.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
  main()
