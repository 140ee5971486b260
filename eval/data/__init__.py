"""Collections, pairs and labelled texts, read from disk or hub; no model, no measure."""
