"""Proofs about runs: replayed, killed and resumed, compared to the bit."""
