"""Model families in Flax Linen, one a file."""
