"""Filters: conditions on the metadata of documents, and which documents meet them."""
