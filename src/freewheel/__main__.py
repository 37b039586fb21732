"""``python -m freewheel``: the same as the command ``freewheel``."""

import sys

from freewheel.cli import main

if __name__ == "__main__":
    sys.exit(main())
