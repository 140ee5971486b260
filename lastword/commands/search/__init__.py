"""Commands that ask an index: once, for a file of queries, or in turn."""
