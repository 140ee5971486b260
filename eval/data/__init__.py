"""What is judged on, read from disk or hub; no model, no measure."""
