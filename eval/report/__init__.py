"""A report of run folders: one page of HTML, and the same in Markdown."""
