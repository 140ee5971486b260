"""Records and run folders: what was run, on what, and what came out."""
