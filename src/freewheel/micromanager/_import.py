"""Import pymmcore-plus without what its import does to everybody's logging."""

from __future__ import annotations

import importlib
import logging

__all__ = ["import_core"]


def import_core() -> None:
    """Import pymmcore-plus, and keep the level of the root logger.

    It sets that to DEBUG for the sake of its own log file; from then on every library makes a
    record of each message that nobody will read, which is a tenth of the time of a fast loop.
    """
    root = logging.getLogger()
    level = root.level
    importlib.import_module("pymmcore_plus")
    if root.level != level:
        logging.getLogger("pymmcore-plus").setLevel(root.level)  # its file stays as it is
        root.setLevel(level)
