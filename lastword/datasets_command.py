"""The command that lists collections with published figures: eval datasets."""

from typer import Typer

app = Typer()
