"""Prompts times models times data sets."""
