"""The search for a prompt; it knows scores, and no retrieval."""
