"""Where a model lies, and whether what lies there can be read and trusted."""
