"""The command that compares systems, query by query: compare."""

from typer import Typer

app = Typer()
