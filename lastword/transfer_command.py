"""The command that judges transfer to classification: eval transfer."""

from typer import Typer

app = Typer()
