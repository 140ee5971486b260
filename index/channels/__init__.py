"""Search in one channel of one segment: dense vectors and weighted words."""
