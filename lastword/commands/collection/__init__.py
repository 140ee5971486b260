"""Commands about an index and its documents."""
