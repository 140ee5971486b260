"""What gives vectors for texts, how it is described, made, and made again."""
