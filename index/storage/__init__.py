"""Files of an index: their names, arrays, checksums and lock."""
