"""Round trips of an index through the formats of other programs."""
