"""The command that judges prompts against prompts: bench prompts."""

from typer import Typer

app = Typer(help="Judge many ways of reading against each other.")
