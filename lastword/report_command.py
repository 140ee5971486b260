"""The command that writes a report of runs as a page: report."""

from typer import Typer

app = Typer()
