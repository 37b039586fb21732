"""Log records as single lines, where nobody has set up logging."""

from __future__ import annotations

import contextlib
import logging
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["log_as_lines"]

_LOGGERS = ("bluesky", "freewheel")


class _Lines(logging.Handler):
    """Writes to whatever the standard error is at that moment, which may be a prompt's."""

    def __init__(self, hint: str) -> None:
        super().__init__(logging.WARNING)
        self._hint = hint

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, without its traceback."""
        if record.getMessage() == "Run aborted":
            return  # whoever shows the plan shows its failure
        with contextlib.suppress(Exception):  # the terminal is gone
            hint = self._hint if hasattr(record, "failed_task") else ""
            sys.stderr.write(f"{record.levelname.lower()}: {record.getMessage()}{hint}\n")
            sys.stderr.flush()


def log_as_lines(hint: str = "") -> Callable[[], None]:
    """Have warnings and errors of engines written as lines, unless logging is set up.

    Parameters
    ----------
    hint : str
        Is added to the line about a background task that has failed: how to see the traceback.

    Returns
    -------
    callable
        Undoes it.
    """
    handler = _Lines(hint)
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    taken = [logger for logger in loggers if not logger.hasHandlers()]
    for logger in taken:
        logger.addHandler(handler)

    def undo() -> None:
        for logger in taken:
            logger.removeHandler(handler)

    return undo
