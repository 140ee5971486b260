"""Search for prompts: the loop, what it may spend, what it writes down, what it may claim."""
