"""Commands that keep running and answer programs."""
