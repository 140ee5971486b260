"""Queries and negatives made from documents."""
