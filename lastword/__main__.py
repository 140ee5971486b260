"""`python -m lastword` is the command `lastword`."""

import sys

from lastword.main import main

if __name__ == "__main__":
    sys.exit(main())
