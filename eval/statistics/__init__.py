"""Whether a difference is one: tests, intervals and comparisons; no files."""
