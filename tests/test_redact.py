"""Secrets that must not be written down, and words that must stay."""

import pytest

from jft.redact import redact, redact_all

A = "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"


@pytest.mark.parametrize(
  "text",
  [
    f"hf_{A}",
    f"ghp_{A}",
    f"github_pat_{A}",
    f"sk-proj-{A}",
    "AKIAIOSFODNN7EXAMPLE",
    "AIza" + A[:35],
    "xoxb-1234567890-abcdef",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.s5R-abc_123",
    "https://me:hunter22@host/x.csv",
    "s3://id:hunter22@bucket/x",
    "https://x.blob.core.windows.net/a.csv?sv=2020&sig=hunter22%3D",
    "https://b.s3.amazonaws.com/k?X-Amz-Credential=hunter22&X-Amz-Date=1",
    "https://storage.googleapis.com/b/k?X-Goog-Signature=hunter22",
    "https://host/x?page=2&access_token=hunter22",
    "--config.hub.token=hunter22",
    "HF_TOKEN=hunter22",
    "password: hunter22",
    "Authorization: Bearer hunter22hunter22",
  ],
)
def test_secrets_are_hidden(text):
  hidden = redact(f"before {text} after")
  for secret in ("hunter22", A, A[:35], "EXAMPLE", "abcdef", "s5R-abc"):
    assert secret not in hidden
  assert "***" in hidden
  assert hidden.startswith("before ")
  assert hidden.endswith(" after")


@pytest.mark.parametrize(
  "text",
  [
    "hf:sentence-transformers/all-MiniLM-L6-v2@main",
    "csv:$JFT_DATA/sst2/train.tsv",
    "--config.optim.lr=1e-3",
    "--config.data.text_column=tokens",
    "tokenizer=bert-base",
    "tfds:oxford_iiit_pet/train[:90%]",
    "a key of a tree, a token of a text, a secret",
    "sha256=9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "git@github.com:org/name",
  ],
)
def test_ordinary_words_stay(text):
  assert redact(text) == text


def test_nested_values():
  value = {"command": ["jft", "--config.hub.token=hunter22"], "n": 3, "x": None}
  assert redact_all(value) == {
    "command": ["jft", "--config.hub.token=***"],
    "n": 3,
    "x": None,
  }
