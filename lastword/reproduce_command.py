"""The command that repeats a published figure: reproduce."""

from typer import Typer

app = Typer()
