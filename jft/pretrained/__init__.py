"""Pretrained weights: from foreign names and layouts to jft's, and back."""
