"""Which process this is, without the system being asked for it each time."""

from __future__ import annotations

import os
from typing import Final, final

__all__ = ["process"]


@final
class _Process:
    """The process that runs this.

    Attributes
    ----------
    number : int
        What `os.getpid` returns. Written when the module is imported, and in a child by the
        thread that forks, before there is another.
    """

    __slots__ = ("number",)

    def __init__(self) -> None:
        self.look()

    def look(self) -> None:
        """Ask the system."""
        self.number = os.getpid()


process: Final = _Process()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=process.look)
