"""For people: what a prompt feeds and reads, what it costs, and words as they are written."""
