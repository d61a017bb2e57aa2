"""Adapters: small trained trees beside a model that is left as it is."""
