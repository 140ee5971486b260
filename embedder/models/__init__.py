"""One causal language model: loaded, run and read; it knows no paper and no wording."""
