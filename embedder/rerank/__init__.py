"""Rerankers: a query and texts -> scores, by a model that reads both together."""
