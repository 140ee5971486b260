"""Rows of several segments merged into those of one, a part at a time."""
