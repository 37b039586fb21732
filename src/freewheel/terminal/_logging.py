"""Log records as single lines, where nobody has set up logging."""

from __future__ import annotations

import contextlib
import logging
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["log_as_lines"]

_OURS = "freewheel"
_LOGGERS = ("bluesky", _OURS)


class _Lines(logging.Handler):
    """Writes to whatever the standard error is at that moment, which may be a prompt's."""

    def __init__(self, hint: str, level: int) -> None:
        super().__init__(level)
        self._hint = hint

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, without its traceback."""
        if record.getMessage() == "Run aborted":
            return  # whoever shows the plan shows its failure
        with contextlib.suppress(Exception):  # the terminal is gone
            hint = self._hint if hasattr(record, "failed_task") else ""
            sys.stderr.write(f"{self._head(record)}: {record.getMessage()}{hint}\n")
            sys.stderr.flush()

    def _head(self, record: logging.LogRecord) -> str:
        return record.levelname.lower()


class _TimedLines(_Lines):
    """For what runs for weeks: says when."""

    def _head(self, record: logging.LogRecord) -> str:
        return f"{time.strftime('%F %T', time.localtime(record.created))} {super()._head(record)}"


def log_as_lines(hint: str = "", *, who_did_what: bool = False) -> Callable[[], None]:
    """Have warnings and errors of engines written as lines, unless logging is set up.

    Parameters
    ----------
    hint : str
        Is added to the line about a background task that has failed: how to see the traceback.
    who_did_what : bool
        Write what people do, too, and to each line when it was.

    Returns
    -------
    callable
        Undoes it.
    """
    kind, level = (_TimedLines, logging.INFO) if who_did_what else (_Lines, logging.WARNING)
    handler = kind(hint, level)
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    taken = [logger for logger in loggers if not logger.hasHandlers()]
    for logger in taken:
        logger.addHandler(handler)
    ours = logging.getLogger(_OURS)
    before = ours.level
    if who_did_what and ours in taken:
        ours.setLevel(level)

    def undo() -> None:
        ours.setLevel(before)
        for logger in taken:
            logger.removeHandler(handler)

    return undo
