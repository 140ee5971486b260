"""The command that finds hard negatives for training pairs: train mine."""

from typer import Typer

app = Typer()
