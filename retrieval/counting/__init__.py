"""Terms of BM25 counted on two cores, where nothing else is to be done."""
