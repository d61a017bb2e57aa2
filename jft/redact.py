"""Secrets out of what is written down: tokens, passwords, signed addresses."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

HIDDEN = "***"

_NAMES = (
  "access_?token|api_?key|auth|authorization|awsaccesskeyid|credential|key|"
  "passw(?:or)?d|secret|sig|signature|token|x-(?:amz|goog)-[a-z-]+"
)
_PATTERNS = tuple(
  re.compile(pattern, re.IGNORECASE if fold else 0)
  for pattern, fold in (
    # Tokens that are known by their look: Hugging Face, GitHub, OpenAI, AWS,
    # Slack, Google, and JSON web tokens.
    (r"()\b(?:hf|gh[pousr]|github_pat)_\w{16,}", False),
    (r"()\bsk-[\w-]{20,}", False),
    (r"()\b(?:AKIA|ASIA)[0-9A-Z]{16}\b", False),
    (r"()\bxox[abeprs]-[\w-]{10,}", False),
    (r"()\bAIza[\w-]{35}", False),
    (r"()\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]+", False),
    # user:password@ of an address; the values of its telling parameters.
    (r"(\w://)[^/\s@]+@", False),
    (rf"([?&;](?:{_NAMES})=)[^&;\s'\"]+", True),
    # --config.hub.token=..., HF_TOKEN: ..., Bearer ...
    (
      r"((?:\b|_|\.)(?:token|secret|password|passwd|api_?key)\s*[=:]\s*)"
      r"[^\s'\",&;]{4,}",
      True,
    ),
    (r"(\bbearer\s+)[\w.~+/=-]{8,}", True),
  )
)


def redact(text: str) -> str:
  """Returns a text with what looks like a secret replaced by "***".

  >>> redact("https://me:pw@host/x?sig=abc123&page=2")
  'https://***host/x?sig=***&page=2'
  """
  for pattern in _PATTERNS:
    text = pattern.sub(rf"\g<1>{HIDDEN}", text)
  return text


def redact_all(value: Any) -> Any:
  """Returns nested mappings and sequences with every text redacted."""
  if isinstance(value, str):
    return redact(value)
  if isinstance(value, Mapping):
    return {key: redact_all(item) for key, item in value.items()}
  if isinstance(value, Sequence) and not isinstance(value, bytes):
    return [redact_all(item) for item in value]
  return value
