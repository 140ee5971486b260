"""Vectors to rows."""
