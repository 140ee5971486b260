"""How the bundled model is made, and how any model is fine-tuned: `lastword train --help`."""
