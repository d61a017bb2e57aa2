"""What jft writes for llama2.c is what its export.py writes, byte for byte."""

import dataclasses

import numpy as np
import pytest
from test_pretrained_formats_llama2c import NUMBERS, tensors, version0

from jft.errors import UserError
from jft.pretrained.formats import llama2c_writer
from jft.pretrained.formats.llama2c import FIELDS, Header


def header(tied=True, **fields):
  sizes = dict(zip(FIELDS, NUMBERS, strict=True))
  return Header(version=0, tied=tied, **{**sizes, **fields})


@pytest.mark.parametrize("tied", [True, False])
def test_the_bytes_are_legacy_exports(tied, tmp_path):
  path = tmp_path / "model.bin"
  llama2c_writer.write(path, tensors(tied), header(tied))
  assert path.read_bytes() == version0(tied)


def test_what_no_such_file_has_is_refused(tmp_path):
  path, arrays = tmp_path / "model.bin", tensors()
  with pytest.raises(UserError, match="no such Llama: 3 heads and 1 heads"):
    llama2c_writer.write(path, arrays, header(n_heads=3))
  wide = {**arrays, "norm.weight": np.zeros(9, np.float32)}
  with pytest.raises(UserError, match=r"norm.weight must be \(8,\)"):
    llama2c_writer.write(path, wide, dataclasses.replace(header()))
  assert list(tmp_path.iterdir()) == []
