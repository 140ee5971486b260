"""The best documents of a search are read again, each together with the query."""
