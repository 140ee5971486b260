"""The commands that train models: train pretrain, train contrast."""

from typer import Typer

app = Typer(help="Train a model: the bundled one again, or any other to be read better.")
