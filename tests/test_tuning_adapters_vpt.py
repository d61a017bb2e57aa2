import jax
import numpy as np
import pytest
import tuned
from golden import side, side_cases
from variants import some

from jft import adapters, tree
from jft.errors import UserError
from jft.tuning.adapters.vpt import VPT

KEY = jax.random.key(0)


@pytest.mark.parametrize("case", ["vpt_shallow", "vpt_deep"])
def test_as_the_papers_formula_in_torch(case, tmp_path):
  assert side.fresh(tmp_path, case) == side_cases.shapes(case)
  want = side.numbers(side.read(case))
  side.assert_close(side.computed(tmp_path, case), want, 1e-5)


@pytest.mark.parametrize(
  ("depth", "deep"),
  some([(d, p) for d in (1, 3) for p in (True, False)], (3, True)),
)
def test_outputs_are_of_the_image_alone_and_remat_changes_nothing(deep, depth):
  method, image = VPT(3, deep=deep), tuned.image()
  net = adapters.add(tuned.vit(depth=depth), method, key=KEY)
  again = adapters.add(tuned.vit(depth=depth, remat=True), method, key=KEY)
  got = net.apply(net.variables, image)
  assert got["hidden"].shape == (2, 5, 8)
  want = again.apply(net.variables, image)
  np.testing.assert_allclose(got["logits"], want["logits"], atol=1e-6)


@pytest.mark.slow
def test_draws_and_dropout():
  net = adapters.add(tuned.vit(), VPT(50, dropout=0.5), key=KEY)
  flat = tree.flatten(net.params["adapters"]["default"])
  assert list(flat) == ["block_00/prompt", "block_01/prompt"]
  # The paper's code: sqrt(6 / (3 * 4 * 4 + 8)) for patches of 4 and width 8.
  drawn = np.concatenate([np.ravel(x) for x in flat.values()])
  assert np.abs(drawn).max() == pytest.approx((6 / 56) ** 0.5, rel=0.02)
  run = lambda key: net.apply(  # noqa: E731
    net.variables, tuned.image(), train=True, rngs={"dropout": key}
  )["logits"]
  one, other = run(jax.random.key(1)), run(jax.random.key(2))
  assert np.abs(one - other).max() > 1e-4
  with pytest.raises(UserError, match="needs rngs"):
    net.apply(net.variables, tuned.image(), train=True)


def test_what_it_cannot_be():
  with pytest.raises(UserError, match="is for transformers"):
    adapters.add(tuned.resnet(), VPT(2), key=KEY)
  with pytest.raises(UserError, match="vision transformers, which Bert is not"):
    adapters.add(tuned.bert(), VPT(2), key=KEY)
  net = adapters.add(tuned.vit(), VPT(2), key=KEY)
  with pytest.raises(UserError, match="cannot be merged"):
    adapters.merge(net, tuned.image())
