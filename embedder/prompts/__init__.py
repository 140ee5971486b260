"""A prompt as a value, its files and the library; no tokenizer, no torch."""
