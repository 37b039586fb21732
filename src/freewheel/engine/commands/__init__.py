"""The commands: one table of them, and their handlers."""

from ._table import COMMANDS

__all__ = ["COMMANDS"]
