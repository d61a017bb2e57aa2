"""GPT-2 under the names of OpenAI's own checkpoints, listed for one block."""

import jax
import numpy as np
from golden import decoders as golden

import jft
from jft import families, tree
from jft.pretrained import export
from jft.pretrained.formats import safetensors

BLOCK = {
  "ln_1/g": (24,),
  "ln_1/b": (24,),
  "attn/c_attn/w": (1, 24, 72),
  "attn/c_attn/b": (72,),
  "attn/c_proj/w": (1, 24, 24),
  "attn/c_proj/b": (24,),
  "ln_2/g": (24,),
  "ln_2/b": (24,),
  "mlp/c_fc/w": (1, 24, 96),
  "mlp/c_fc/b": (96,),
  "mlp/c_proj/w": (1, 96, 24),
  "mlp/c_proj/b": (24,),
}


def test_openais_names_and_shapes_load_as_transformers_do(tmp_path):
  known = families.FAMILIES["gpt2"]
  net = golden.load(tmp_path, "gpt2")
  dialect = {d.name: d for d in known.dialects}["openai"]
  table = dialect.table(net.spec.config, {})
  arrays = export.to_source(tree.flatten(net.variables), table)
  want = {"wte": (40, 24), "wpe": (32, 24), "ln_f/g": (24,), "ln_f/b": (24,)}
  for i in range(2):
    want |= {f"h{i}/{name}": shape for name, shape in BLOCK.items()}
  found = {name: x.shape for name, x in arrays.items()}
  assert found == {f"model/{name}": shape for name, shape in want.items()}
  golden.write(tmp_path, "gpt2", {})
  safetensors.write(tmp_path / "model.safetensors", arrays)
  again = jft.load_pretrained(str(tmp_path))
  assert again.spec.num_classes == 40
  jax.tree.map(np.testing.assert_array_equal, again.params, net.params)
