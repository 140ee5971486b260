"""Seven ways of proposing prompts; none of them judges what it proposes."""
