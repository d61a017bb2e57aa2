"""Networks as programs of their own: StableHLO, ONNX and a SavedModel."""

import types

from jft.exports import onnx, savedmodel, stablehlo
from jft.exports.target import Target
from jft.typing import Mapping

TARGETS: Mapping[str, Target] = types.MappingProxyType(
  {
    "stablehlo": Target(stablehlo.plan, "one program for CPU, TPU and CUDA"),
    "onnx": Target(onnx.plan, "onnxruntime and others"),
    "savedmodel": Target(savedmodel.plan, "TensorFlow"),
  }
)
