"""Files that Keras writes, loaded whole, against Keras' own predictions."""

import os

os.environ.setdefault("KERAS_BACKEND", "torch")

import jax
import numpy as np
import pytest
from golden import vision, weights

import jft

keras = pytest.importorskip("keras")
pytest.importorskip("h5py")

pytestmark = pytest.mark.parity


def drawn(name):
  """Returns one of Keras' models, with weights that its names determine."""
  keras.backend.set_floatx("float32")
  model = getattr(keras.applications, name)(
    weights=None, classes=weights.CLASSES, classifier_activation=None
  )
  for variable in model.variables:
    shape = tuple(variable.shape)
    variable.assign(
      keras.ops.array(weights.draw(f"{variable.path}:0", shape, 0))
    )
  return model


@pytest.mark.filterwarnings("ignore")  # that .h5 is Keras' old format
@pytest.mark.parametrize("suffix", [".h5", ".keras"])
@pytest.mark.parametrize(
  ("name", "arch", "bgr"),
  [
    ("ResNet50", "resnet50", True),
    ("DenseNet121", "densenet121", False),
  ],
)
def test_a_file_of_keras_predicts_as_keras(name, arch, bgr, suffix, tmp_path):
  model = drawn(name)
  file = tmp_path / f"model{suffix}"
  model.save(file)
  image = weights.images(3, 0, 224)
  flipped = np.ascontiguousarray(image[..., ::-1] if bgr else image)
  want = keras.ops.convert_to_numpy(model.predict(flipped, verbose=0))
  net = jft.load_pretrained(str(file), arch=arch)
  assert set(net.report.counts()) == {"loaded"}
  run = jax.jit(net.apply, compiler_options=vision.OPTIONS)
  got = run(net.variables, image)["logits"]
  vision.assert_close({"logits": got}, {"logits": want}, 1e-4)
