"""Where examples come from: each file reads one kind of storage.

A source has `len(source)`, `source[i] -> dict` (one example), a `name` and
`label_names`; `jft.data.source.Source` is the protocol.
"""
