"""Lines for the person at the terminal."""

from __future__ import annotations

import sys
from contextlib import suppress

__all__ = ["say"]


def say(text: str) -> None:
    """Write a line to the standard error, if there still is one: SIGHUP means a closed terminal.

    To what the standard error is at this moment: a line of progress may stand in front of it.
    """
    with suppress(OSError):
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()
