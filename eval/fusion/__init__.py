"""Weights of a fusion: which runs they may be chosen on, and which are best."""
