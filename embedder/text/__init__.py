"""Plain strings: words, sentences, stop words and rules of texts; no tokenizer, no model."""
