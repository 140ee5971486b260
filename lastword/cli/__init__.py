"""What all commands are made of: options, screen, tables, sources."""
