"""TensorFlow Datasets, read without TensorFlow."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jft.data.decode import decode
from jft.data.labels import check_label
from jft.errors import UserError


@dataclass(frozen=True, eq=False)
class Tfds:
  """A source over a prepared ArrayRecord data set."""

  records: Any
  images: Mapping[str, int]
  """{feature: channels} of the features that are images."""
  columns: Mapping[str, str]
  """{key of an example: feature}"""
  name: str
  label_names: tuple[str, ...] | None

  @functools.cached_property
  def labels(self) -> np.ndarray | None:
    if "label" not in self.columns:
      return None
    key = self.columns["label"]
    rows = (self.record(i)[key] for i in range(len(self)))
    checked = [check_label(label, i, self) for i, label in enumerate(rows)]
    return np.array(checked, np.int32)

  def record(self, i: int) -> Mapping[str, Any]:
    """One example as it is stored.

    Raises:
      UserError: if its shard is missing or damaged.
    """
    try:
      return self.records[i]
    except Exception as error:  # The reader's own, and what decoding meets.
      raise UserError(
        f"example {i} of {self.name} cannot be read: {error}. A file of the"
        " data set is missing or damaged; prepare it again."
      ) from error

  def content(self, i: int) -> bytes:
    """The record's inputs as they are stored: no image is decoded."""
    record, parts = self.record(i), []
    for ours, theirs in sorted(self.columns.items()):
      if ours != "label":
        value = record[theirs]
        raw = value if isinstance(value, bytes) else np.asarray(value).tobytes()
        parts += [f"{ours}|{len(raw)}:".encode(), raw]
    return b"".join(parts)

  def __len__(self) -> int:
    return len(self.records)

  def __getitem__(self, i: int) -> dict[str, Any]:
    record = self.record(i)
    return {
      ours: self._value(theirs, record[theirs], i)
      for ours, theirs in self.columns.items()
    }

  def _value(self, feature: str, value: Any, i: int) -> Any:
    if not isinstance(value, bytes):
      return value
    if feature not in self.images:
      return value.decode()
    # TensorFlow's decoder ignores the EXIF orientation, and so do its sets.
    pixels = decode(value, f"{self.name}[{i}]", upright=False)
    return pixels[..., :1] if self.images[feature] == 1 else pixels


def tfds(
  name: str,
  split: str,
  *,
  data_dir: str | Path | None = None,
  columns: Mapping[str, str] | None = None,
) -> Tfds:
  """Opens a split of a data set that was prepared as ArrayRecord.

  Args:
    name: such as "oxford_iiit_pet" or "glue/sst2:2.0.0".
    split: such as "train", "train[:90%]".
    data_dir: where the data sets are; ~/tensorflow_datasets if not given.
    columns: {our name: the data set's}, such as {"text": "sentence",
      "label": "label"}; all features under their own names if not given.

  Returns:
    A source; images are UInt8[h w c], texts are str.

  Raises:
    UserError: if the data set or split is not there, is empty, or was
      prepared in another format.
  """
  import tensorflow_datasets

  library: Any = tensorflow_datasets  # Its annotations are wrong.
  skip = library.decode.SkipDecoding()
  try:
    builder = library.builder(
      name, data_dir=data_dir, file_format="array_record"
    )
    features = dict(builder.info.features.items())
    images = {
      key: feature.shape[-1]
      for key, feature in features.items()
      if isinstance(feature, library.features.Image)
    }
    records = builder.as_data_source(
      split, decoders=dict.fromkeys(images, skip)
    )
    length = len(records)
  except Exception as error:  # tfds has a dozen kinds of "not there".
    raise UserError(_advice(name, split, data_dir, error)) from error
  columns = dict(columns or {key: key for key in features})
  if unknown := [key for key in columns.values() if key not in features]:
    raise UserError(
      f"{name} has no feature {unknown[0]!r}, it has {sorted(features)}."
    )
  if not length:
    raise UserError(f"{name}:{split} is empty.")
  label = features.get(columns.get("label", ""))
  names = getattr(label, "names", None)
  return Tfds(
    records, images, columns, f"{name}:{split}", tuple(names) if names else None
  )


def _advice(name: str, split: str, data_dir: Any, error: Exception) -> str:
  where = f" --data_dir={data_dir}" if data_dir else ""
  return (
    f"cannot open {name!r}, split {split!r}, in"
    f" {data_dir or 'the default folder of tfds'}:"
    f" {str(error).strip().splitlines()[0]} If it is not prepared yet, do so"
    f" once (pip install 'jft[tensorflow]'): tfds build {name}"
    f" --file_format=array_record{where}"
  )
