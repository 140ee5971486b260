"""Published methods, one a file, on top of models."""
