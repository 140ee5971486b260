"""The making of a small model from nothing."""
