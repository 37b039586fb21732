"""The command ``freewheel``; each of its sub-commands is a module that is loaded when called."""

from ._app import main

__all__ = ["main"]
