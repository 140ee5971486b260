"""The command that looks for evaluation texts among training texts: train overlap."""

from typer import Typer

app = Typer()
