"""Lucene as the engine of a sparse channel: its files in a segment, and their search."""
