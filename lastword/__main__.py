"""`python -m lastword` is the command `lastword`."""

import sys

from lastword.cli import main

if __name__ == "__main__":
    sys.exit(main())
