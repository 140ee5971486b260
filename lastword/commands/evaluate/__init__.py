"""Commands that judge encoders."""
