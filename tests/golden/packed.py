"""What golden files of image models share: their images, and one small file.

NumPy alone: the scripts that make the goldens run where there is no JAX.
"""

import hashlib
import json
import pathlib

import numpy as np
from golden import weights

GAIN = np.float32(1.5)
FOLDER = pathlib.Path(__file__).parent


def pictures(size, seed=0):
  """Returns two images [2 size size 3] of patches and noise, size of 9s."""
  rng = np.random.default_rng([size, seed])
  patches = rng.standard_normal((2, 9, 9, 3))
  smooth = patches.repeat(size // 9, axis=1).repeat(size // 9, axis=2)
  return (smooth + 0.3 * rng.standard_normal(smooth.shape)).astype(np.float32)


def draw(name, shape, seed=0):
  """Returns a tensor's values, as `weights.draw` but for scales."""
  if name.endswith("depthwise_kernel:0"):  # (h, w, c, 1)
    values = draw(name + ".weight", (shape[2], 1, *shape[:2]), seed)
    return np.ascontiguousarray(values.transpose(2, 3, 0, 1))
  values = weights.draw(name, shape, seed)
  # Else the activations of a deep net shrink until images no longer matter.
  return GAIN * values if len(shape) == 4 else values


def digest(shapes):
  """Returns a hash of names and shapes, without PyTorch's counters."""
  rows = sorted(
    f"{name} {tuple(shape)}"
    for name, shape in shapes.items()
    if not name.endswith("num_batches_tracked")
  )
  return hashlib.sha256("\n".join(rows).encode()).hexdigest()[:32]


def write(family, records, facts, versions):
  """Writes {case: record} and the facts of the presets.

  Args:
    family: names the files.
    records: {case: {name: array}}.
    facts: {layout: {preset: [parameters, digest of names and shapes]}}.
    versions: of the references.
  """
  arrays = {"versions": np.array(versions)}
  for case, record in records.items():
    groups = {}
    for name, array in record.items():
      kind = name.split("/")[0] if "/" in name else name.rstrip("0123456789")
      groups.setdefault(kind, {})[name] = array
    for kind, group in groups.items():
      names = sorted(group)
      arrays[f"{case}|{kind}|names"] = np.array("\n".join(names))
      arrays[f"{case}|{kind}"] = np.stack([group[name] for name in names])
  path = FOLDER / f"{family}.npz"
  np.savez_compressed(path, **arrays)
  text = json.dumps(facts, indent=1).replace("[\n   ", "[")
  text = text.replace(",\n   ", ", ").replace("\n  ]", "]")
  (FOLDER / f"{family}_presets.json").write_text(text + "\n")
  print(path.name, path.stat().st_size)


def read(family):
  """Returns {case: {name: array}}."""
  records = {}
  with np.load(FOLDER / f"{family}.npz") as file:
    for key in file.files:
      case, *kind = key.split("|")
      if len(kind) == 1:
        names = str(file[f"{key}|names"]).split("\n")
        pairs = zip(names, file[key], strict=True)
        records.setdefault(case, {}).update(pairs)
  return records


def presets(family):
  """Returns {layout: {preset: (parameters, digest)}}."""
  return json.loads((FOLDER / f"{family}_presets.json").read_text())
