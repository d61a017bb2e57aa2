"""Changes to a loaded network: new ones, the old one as it was."""

import jax.numpy as jnp
import numpy as np
import pytest

import jft
from jft import surgery, tree
from jft.errors import UserError


@pytest.fixture(scope="module")
def net():
  return jft.load_pretrained("jft:resnet14_mnist")


def test_a_subtree_is_replaced_in_a_new_network(net):
  block = {
    name: np.full(leaf.shape, 0.5)
    for name, leaf in tree.flatten(net.params["block_01"]).items()
  }
  new = surgery.replace(net, "params/block_01", tree.unflatten(block))
  assert all(
    bool((leaf == 0.5).all())
    for leaf in tree.flatten(new.params["block_01"]).values()
  )
  assert not bool((net.params["block_01"]["conv1"]["kernel"] == 0.5).any())
  assert new.params["block_02"] is not None
  reasons = {row.reason for row in new.report if row.status == "reinit"}
  assert reasons == {"replaced"}
  assert new.report.counts()["reinit"] == len(block)


@pytest.mark.parametrize(
  ("name", "values", "message"),
  [
    ("params/hed/bias", np.zeros(10), "Did you mean 'params/head/bias'"),
    ("params/head/bias", np.zeros(9), r"expected shape \(10,\), got \(9,\)"),
    ("params/head", {"bias": np.zeros(10)}, "holds 2 leaves, got 1; 'kernel'"),
  ],
)
def test_what_does_not_fit(net, name, values, message):
  with pytest.raises(UserError, match=message):
    surgery.replace(net, name, values)


def test_a_cast_leaves_statistics_alone(net):
  new = surgery.cast(net, jnp.bfloat16)
  kinds = {
    name.partition("/")[0]: leaf.dtype
    for name, leaf in tree.flatten(new.variables).items()
  }
  assert kinds == {"params": jnp.bfloat16, "batch_stats": jnp.float32}
  huge = surgery.replace(net, "params/head/bias", np.full(10, 1e30))
  with pytest.raises(UserError, match="params/head/bias has values that"):
    surgery.cast(huge, jnp.float16)
