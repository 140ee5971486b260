"""Sparse search that leaves out rows which cannot be among the best: exact, compiled."""
