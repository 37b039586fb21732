"""Staying with a plan in a terminal: progress, signals, log lines; for prompt and commands."""

from ._display import LiveProgress
from ._logging import log_as_lines
from ._rules import DetachFirst, PauseFirst, Rules, StopFirst, Wish
from ._signals import ENDING_SIGNALS, signals
from ._watcher import Watcher, follow_progress, wait_for

__all__ = [
    "ENDING_SIGNALS",
    "DetachFirst",
    "LiveProgress",
    "PauseFirst",
    "Rules",
    "StopFirst",
    "Watcher",
    "Wish",
    "follow_progress",
    "log_as_lines",
    "signals",
    "wait_for",
]
