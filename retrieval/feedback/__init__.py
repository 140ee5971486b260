"""Pseudo-relevance feedback: a query learns from the documents that it finds first."""
