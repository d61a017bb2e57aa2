"""Writes the torch fixtures of tests/test_pretrained_formats.py.

  python tests/golden/make_torch_files.py

Needs torch and safetensors (`pip install jft[parity]`). Values come from torch;
`expected.npz` holds them as NumPy arrays (bfloat16 and float8 widened to
float32, exactly).
"""

import collections
import pathlib

import numpy as np
import safetensors.torch
import torch

FOLDER = pathlib.Path(__file__).parent / "torch"
OLD = {"_use_new_zipfile_serialization": False}


def tensors() -> dict[str, torch.Tensor]:
  base = torch.arange(12.0).reshape(3, 4) / 8
  store = torch.arange(20, dtype=torch.int32)
  tagged = torch.ones(2)
  tagged.no_weight_decay = True  # a Python attribute: _rebuild_from_type_v2
  return collections.OrderedDict(
    base=base,
    shared_transposed=base.t(),
    shared_slice=base[1:, ::2],
    expanded=torch.tensor([1.5, -2.5]).expand(3, 2),
    parameter=torch.nn.Parameter(torch.linspace(-1, 1, 5)),
    tagged=tagged,
    f64=torch.tensor([1e300, -1e-300], dtype=torch.float64),
    f16=torch.tensor([1.0, 65504.0, 6e-8]).half(),
    bf16=(torch.arange(6.0).reshape(2, 3) * 1.25).bfloat16(),
    i64=torch.tensor(7),
    i32=store[5:9],
    i16=torch.tensor([-300, 300], dtype=torch.int16),
    i8=torch.tensor([-128, 127], dtype=torch.int8),
    u8=torch.tensor([0, 255], dtype=torch.uint8),
    bool=torch.tensor([[True, False], [False, True]]),
    c64=torch.tensor([1 + 2j, -3j], dtype=torch.complex64),
    empty=torch.zeros(0, 3),
  )


def newer() -> dict[str, torch.Tensor]:
  return {
    "f8_e4m3": torch.tensor([0.5, 448.0]).to(torch.float8_e4m3fn),
    "f8_e5m2": torch.tensor([0.25, -57344.0]).to(torch.float8_e5m2),
    "u16": torch.tensor([0, 65535]).to(torch.uint16),
  }


def numpy(tensor: torch.Tensor) -> np.ndarray:
  wide = {torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2}
  tensor = tensor.detach()
  return (tensor.float() if tensor.dtype in wide else tensor).numpy()


def main() -> None:
  torch.manual_seed(0)
  FOLDER.mkdir(exist_ok=True)
  named = tensors()
  torch.save(named, FOLDER / "zip.pth")
  torch.save(named, FOLDER / "legacy.pth", **OLD)
  torch.save(newer(), FOLDER / "newer.pth")
  torch.save(named, FOLDER / "protocol4.pth", pickle_protocol=4)

  net = torch.nn.Sequential(
    torch.nn.Conv2d(3, 2, 3), torch.nn.BatchNorm2d(2), torch.nn.Flatten()
  )
  adam = torch.optim.Adam(net.parameters())
  net(torch.ones(1, 3, 5, 5)).sum().backward()
  adam.step()
  wrapped = torch.nn.DataParallel(net).state_dict()
  checkpoint = {
    "epoch": 3,
    "best": 0.75,
    "names": ["cat", "dog"],
    "state_dict": wrapped,
    "optimizer": adam.state_dict(),
  }
  torch.save(checkpoint, FOLDER / "checkpoint.pth")
  torch.save({"model": wrapped}, FOLDER / "checkpoint_legacy.pth", **OLD)
  torch.save(net, FOLDER / "whole_model.pth")
  safetensors.torch.save_file(
    {"bf16": named["bf16"], "f16": named["f16"], "i64": named["i64"]},
    FOLDER / "half.safetensors",
    metadata={"format": "pt"},
  )
  expected = {name: numpy(t) for name, t in (named | newer()).items()}
  expected |= {f"net.{name}": numpy(t) for name, t in net.state_dict().items()}
  np.savez_compressed(FOLDER / "expected.npz", **expected)


if __name__ == "__main__":
  main()
