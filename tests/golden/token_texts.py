"""Texts that tokenizers read differently if they are not the same."""

TEXTS = (
  "Once upon a time, there was a little girl named Lily.",
  "I don't think we've met; they'll say it's 12345 or 3.14159!",
  "line\nbreak\r\n\n\ttab  two   three spaces",
  " leading and trailing ",
  "   ",
  "naïve café, Straße, e\u0301tude, 東京タワー, Привет, 🙂👩‍🚀",
  "def f(x):\n    return x ** 2  # 'quoted'\n",
  "aaaaaaaaaa bbbbbbb      ....,,,,!!!!",
  "\u2581low\u2581line and \x00\x7f odd bytes \ufeff",
  "",
)
