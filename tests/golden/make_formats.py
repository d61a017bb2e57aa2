"""Writes the files of formats/ with Keras and TensorFlow themselves.

  cd tests && python -m golden.make_formats    # tensorflow-cpu 2.21, keras 3

The same small network goes into every kind of file; expected.npz holds its
weights by Keras' names, as Keras gives them back.
"""

import pathlib

import h5py
import keras
import numpy as np
import tensorflow as tf

FOLDER = pathlib.Path(__file__).parent / "formats"


def network() -> keras.Model:
  """Returns a network with two kinds of BatchNormalization, one nested."""
  keras.utils.clear_session()
  inputs = keras.Input((6, 6, 3))
  x = keras.layers.Conv2D(4, 3, name="conv1_conv")(inputs)
  x = keras.layers.BatchNormalization(name="conv1_bn")(x)
  x = keras.layers.BatchNormalization(scale=False, name="second_bn")(x)
  x = keras.layers.GlobalAveragePooling2D()(x)
  dense = keras.layers.Dense(3, name="inner_dense")
  x = keras.Sequential([keras.Input((4,)), dense], name="inner")(x)
  x = keras.layers.Dense(2, name="predictions")(x)
  model = keras.Model(inputs, x, name="tiny")
  rng = np.random.default_rng(0)
  model.set_weights(
    [rng.uniform(0.5, 1.5, w.shape).astype("f4") for w in model.get_weights()]
  )
  return model


def write_keras(model: keras.Model) -> None:
  for name in ("tiny.h5", "tiny.keras"):
    model.save(FOLDER / name)
  model.save_weights(FOLDER / "tiny.weights.h5")
  # The names that Keras 2 wrote, and how it wrote them.
  with h5py.File(FOLDER / "keras2.h5", "w") as file:
    file.attrs["layer_names"] = [b"conv1_conv", b"pool", b"block1_conv1"]
    file.attrs["keras_version"] = b"2.0.6"
    file.create_group("pool").attrs["weight_names"] = np.zeros(0)
    for layer, names in (
      ("conv1_conv", ("conv1_conv_1/kernel:0", "conv1_conv_1/bias:0")),
      ("block1_conv1", ("block1_conv1_W_1:0", "block1_conv1_b_1:0")),
    ):
      group = file.create_group(layer)
      group.attrs["weight_names"] = [name.encode() for name in names]
      for name, shape in zip(names, ((2, 2), (2,)), strict=True):
        group[name] = np.full(shape, 0.5, np.float32)


def write_tensorflow() -> None:
  v1 = tf.compat.v1
  with tf.Graph().as_default(), v1.Session() as session:
    for name, value in graph_values().items():
      v1.get_variable(name, initializer=tf.constant(value))
    session.run(v1.global_variables_initializer())
    path = str(FOLDER / "bert_model.ckpt")
    v1.train.Saver().save(session, path, write_meta_graph=False)

  class Object(tf.Module):
    def __init__(self):
      super().__init__()
      self.kernel = tf.Variable(np.arange(6, dtype=np.float32).reshape(2, 3))
      self.bias = tf.Variable(np.array([1, -2, 3], np.float16))

  tf.train.Checkpoint(model=Object()).write(str(FOLDER / "object"))


def graph_values() -> dict[str, np.ndarray]:
  scale = np.linspace(0.5, 1.5, 4, dtype=np.float32)
  words = np.arange(2100, dtype=np.float32).reshape(525, 4) / 8
  made = {
    "bert/embeddings/word_embeddings": words,
    "global_step": np.array(7, np.int64),
    "flags": np.array([True, False]),
    "half": np.array([0, 0.25, 1.5], tf.bfloat16.as_numpy_dtype),
  }
  # Enough names for several restarts of their shared prefixes.
  for i in range(20):
    made[f"bert/encoder/layer_{i}/output/LayerNorm/gamma"] = scale * (i + 1)
  return made


def main() -> None:
  FOLDER.mkdir(exist_ok=True)
  for old in FOLDER.iterdir():
    old.unlink()
  model = network()
  write_keras(model)
  write_tensorflow()
  (FOLDER / "checkpoint").unlink()
  np.savez_compressed(
    FOLDER / "expected.npz",
    **{f"keras/{weight.path}": np.asarray(weight) for weight in model.weights},
    **{
      f"graph/{name}": np.asarray(value, np.float32)
      for name, value in graph_values().items()
    },
  )
  (FOLDER / "versions.txt").write_text(
    f"keras {keras.__version__}, tensorflow {tf.__version__}, h5py"
    f" {h5py.__version__}\n"
  )


if __name__ == "__main__":
  main()
