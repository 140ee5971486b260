"""What a prompt is worth: scores on an index, on pooled documents, by a judge."""
