"""An index in the formats of other programs, and back."""
