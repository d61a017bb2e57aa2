"""Text encoders of every family and task: the numbers of transformers."""

import jax
import numpy as np
import pytest
from golden import text as case
from golden import text_cases

from jft import families, tree
from jft.pretrained import export

TOLERANCE = 1e-4
CASES = [
  (family, task)
  for family in text_cases.SETTINGS
  for task in text_cases.CLASSES
]
KEY = jax.random.key(0)


@pytest.mark.parametrize(("family", "task"), CASES)
def test_a_saved_model_computes_what_it_did(family, task, tmp_path):
  """Its own head and its copies included; padded rows too."""
  made = case.load(tmp_path, family, task)
  assert made.spec.config.task == task
  assert "reinit" not in made.report.counts()
  golden = case.read(family, task)
  got = case.computed(made, family, task)
  case.assert_close(got, case.numbers(golden), TOLERANCE)


@pytest.mark.parametrize(("family", "task"), CASES)
def test_an_export_has_the_originals_names_and_shapes(family, task, tmp_path):
  made = case.load(tmp_path, family, task)
  dialect = families.FAMILIES[family].dialects[0]
  config = made.spec.config
  arrays = export.to_source(
    tree.flatten(made.variables), dialect.table(config, {})
  )
  golden = case.read(family, task)
  want = case.tensors(golden)
  copies = {str(name) for name in golden["copies"]}
  dropped = {r.source for r in made.report.rows if r.status == "dropped"}
  assert arrays.keys() == want.keys() - dropped
  assert copies == set(dialect.ties(config) or {})
  for name, array in arrays.items():
    np.testing.assert_array_equal(array, want[name])
