"""How documents become passages, which rule an index has, and which passage a search found."""
