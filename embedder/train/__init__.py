"""How the bundled model is made: `python -m embedder.train --help`."""
