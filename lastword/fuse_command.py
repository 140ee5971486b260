"""The command that fuses runs, and finds how to: fuse."""

from typer import Typer

app = Typer()
