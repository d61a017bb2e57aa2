"""llama2.c's .bin: all three versions, and sizes that must be exact."""

import struct

import numpy as np
import pytest

from jft.errors import UserError
from jft.pretrained import formats, hub
from jft.pretrained.formats import llama2c

DIM, HIDDEN, LAYERS, HEADS, KV, VOCAB, SEQ = 8, 12, 2, 2, 1, 10, 8
NUMBERS = (DIM, HIDDEN, LAYERS, HEADS, KV, VOCAB, SEQ)


def tensors(tied=True):
  """{name: array}, named and shaped as llama2.c's model.py has them."""
  rng = np.random.default_rng(0)
  shapes = {"tok_embeddings": (VOCAB, DIM), "norm": (DIM,)}
  for i in range(LAYERS):
    shapes |= {
      f"layers.{i}.attention_norm": (DIM,),
      f"layers.{i}.attention.wq": (DIM, DIM),
      f"layers.{i}.attention.wk": (4, DIM),
      f"layers.{i}.attention.wv": (4, DIM),
      f"layers.{i}.attention.wo": (DIM, DIM),
      f"layers.{i}.ffn_norm": (DIM,),
      f"layers.{i}.feed_forward.w1": (HIDDEN, DIM),
      f"layers.{i}.feed_forward.w2": (DIM, HIDDEN),
      f"layers.{i}.feed_forward.w3": (HIDDEN, DIM),
    }
  if not tied:
    shapes["output"] = (VOCAB, DIM)
  return {
    f"{name}.weight": rng.normal(size=shape).astype(np.float32)
    for name, shape in shapes.items()
  }


def joined(found, *kinds):
  return b"".join(
    found[f"layers.{i}.{kind}.weight"].tobytes()
    for kind in kinds
    for i in range(LAYERS)
  )


ATTENTION = [f"attention.w{letter}" for letter in "qkvo"]
MLP = [f"feed_forward.w{i}" for i in (1, 2, 3)]


def tables(theta=10000.0):
  angle = np.outer(np.arange(SEQ), theta ** -(np.arange(2) / 2))
  return np.stack([np.cos(angle), np.sin(angle)]).astype(np.float32).tobytes()


def version0(tied=True, freqs=None):
  """As legacy_export writes it."""
  found = tensors(tied)
  sign = 1 if tied else -1
  data = struct.pack("<7i", *NUMBERS[:5], sign * VOCAB, SEQ)
  data += found["tok_embeddings.weight"].tobytes()
  data += joined(found, "attention_norm", *ATTENTION, "ffn_norm", *MLP)
  data += found["norm.weight"].tobytes() + (freqs or tables())
  return data + (b"" if tied else found["output.weight"].tobytes())


def long_header(version, tied, group=None):
  data = struct.pack("<Ii7iB", 0x616B3432, version, *NUMBERS, int(tied))
  data += b"" if group is None else struct.pack("<i", group)
  return data.ljust(256, b"\0")


def version1(tied=True):
  """As version1_export writes it."""
  found = tensors(tied)
  data = joined(found, "attention_norm", "ffn_norm")
  data += found["norm.weight"].tobytes()
  data += found["tok_embeddings.weight"].tobytes()
  data += joined(found, *ATTENTION, *MLP)
  data += b"" if tied else found["output.weight"].tobytes()
  return long_header(1, tied) + data


def version2(tied=True, group=4):
  """As version2_export writes it."""
  found = tensors(tied)
  names = ["tok_embeddings.weight"]
  names += [f"layers.{i}.{k}.weight" for k in ATTENTION + MLP for i in (0, 1)]
  data = joined(found, "attention_norm", "ffn_norm")
  data += found["norm.weight"].tobytes()
  for name in [*names, *([] if tied else ["output.weight"])]:
    values = found[name].reshape(-1, group)
    scale = np.abs(values).max(1) / np.float32(127)
    data += np.round(values / scale[:, None]).astype(np.int8).tobytes()
    data += scale.astype(np.float32).tobytes()
  return long_header(2, tied, group) + data


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("make", [version0, version1, version2])
def test_every_version_is_read(tmp_path, make, tied):
  path = tmp_path / "model.bin"
  path.write_bytes(make(tied))
  read, want = formats.read(path), tensors(tied)
  assert set(read) == set(want)
  for name, value in want.items():
    assert read.specs[name].shape == value.shape
    assert read.specs[name].dtype == np.float32
    # Half a step of the int8 values of the largest group.
    atol = 0 if make is not version2 else np.abs(value).max() / 254 + 1e-6
    atol = 0 if value.ndim == 1 else atol
    np.testing.assert_allclose(read[name], value, rtol=0, atol=atol)
  config = formats.settings(path)
  assert config["tie_word_embeddings"] == tied
  assert config == {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "vocab_size": VOCAB,
    "hidden_size": DIM,
    "intermediate_size": HIDDEN,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "num_key_value_heads": KV,
    "max_position_embeddings": SEQ,
    "hidden_act": "silu",
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "tie_word_embeddings": tied,
    "bos_token_id": 1,
    "eos_token_id": 2,
  }


@pytest.mark.parametrize("make", [version0, version1, version2])
@pytest.mark.parametrize("change", [-1, 4])
def test_a_length_that_does_not_fit_names_both(tmp_path, make, change):
  data, path = make(), tmp_path / "model.bin"
  wrong = data[:change] if change < 0 else data + bytes(change)
  path.write_bytes(wrong)
  message = f"needs {len(data)} bytes, the file has {len(wrong)}"
  with pytest.raises(UserError, match=message):
    formats.read(path)
  with pytest.raises(UserError, match="dim=8, hidden_dim=12, n_layers=2"):
    formats.read(path)


def test_rotary_tables_of_another_base_are_refused(tmp_path):
  path = tmp_path / "model.bin"
  path.write_bytes(version0(freqs=tables(1e6)))
  with pytest.raises(
    UserError, match=r"freqs_(cos|sin) is not that of the base"
  ):
    formats.read(path)


@pytest.mark.parametrize(
  ("data", "message"),
  [
    (struct.pack("<Ii", 0x616B3432, 1), "ends within llama2.c's header"),
    (long_header(3, True), "version 3; jft reads 0, 1 and 2"),
    (long_header(1, True)[:8] + bytes(248), "damaged: dim is 0"),
    (long_header(1, 7), "shared classifier is 7"),
    (long_header(2, True, 3), "groups of 3 values do not divide dim=8"),
    (long_header(2, True, -4), "groups of -4 values"),
  ],
)
def test_a_damaged_header_is_named(tmp_path, data, message):
  path = tmp_path / "model.bin"
  path.write_bytes(data)
  with pytest.raises(UserError, match=message):
    formats.read(path)


def test_a_header_that_no_model_has_is_no_llama2c():
  good = struct.pack("<7i", *NUMBERS)
  assert llama2c.fits(good)
  for at, number in ((0, 7), (3, 3), (4, 0), (5, 0), (6, -1), (2, 10**6)):
    numbers = [*NUMBERS]
    numbers[at] = number
    assert not llama2c.fits(struct.pack("<7i", *numbers))
  assert not llama2c.fits(good[:27])
  for head in (b"PK\x03\x04", b"\x80\x02\x8a\n", b"GGUF", b"\x89HDF"):
    assert not llama2c.fits(head + good)


def test_a_folder_with_its_tokenizer_holds_one_model(tmp_path):
  (tmp_path / "stories.bin").write_bytes(version0())
  for name in ("tok10.bin", "tok99.bin", "tokenizer.bin"):
    (tmp_path / name).write_bytes(b"x")
  for source in (tmp_path, tmp_path / "stories.bin"):
    found = hub.locate(source)
    assert found.weights == tmp_path / "stories.bin"
    assert found.tokenizer == tmp_path / "tok10.bin"  # of its 10 words
    assert found.config["vocab_size"] == 10
