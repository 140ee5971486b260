"""What is inside of files: a format a module, each a function from bytes to documents."""
