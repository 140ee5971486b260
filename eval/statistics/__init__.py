"""Tests, intervals and comparisons of systems; no files."""
