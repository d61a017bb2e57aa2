"""Checkpoints on disk; orbax is imported here and in pretrained/formats."""
