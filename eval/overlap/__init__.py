"""Evaluation texts that occur in training texts."""
