"""Ids in, runs out."""
