"""The command that judges on MTEB's tasks: eval mteb."""

from typer import Typer

app = Typer()
