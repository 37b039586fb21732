"""Subscribers that can take one run at a time, served one run at a time."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final, final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["OneRun", "takes_one_run"]

#: bluesky's callbacks that mix up the runs of two plans, by module.
_OF_ONE_RUN: Final = {
    "bluesky.callbacks.best_effort": ("BestEffortCallback",),
    "bluesky.callbacks.core": ("LiveTable",),
    "bluesky.callbacks.mpl_plotting": ("LivePlot",),
}


def takes_one_run(func: object) -> bool:
    """Tell whether a subscriber is one of bluesky's that can take one run at a time."""
    for module, names in _OF_ONE_RUN.items():
        loaded = sys.modules.get(module)  # of what is not loaded there is no instance
        if loaded is None:
            continue
        kinds = tuple(
            kind for name in names if isinstance(kind := getattr(loaded, name, None), type)
        )
        if isinstance(func, kinds):
            return True
    return False


@final
class OneRun:
    """Gives a subscriber the foreground's runs, and those of tasks while no such run is open.

    A task's run that begins while the subscriber has one is left out as a whole. When the
    foreground opens a run, a task's run that the subscriber has is given up: its stop document
    does not come. A run that the foreground opens within one of its own is left out too.

    All of it runs on the engine's loop.

    Parameters
    ----------
    func : callable
        The subscriber.
    in_foreground : callable
        Tells whether the document that is emitted at this moment is the foreground's.
    """

    __slots__ = ("_descriptors", "_func", "_in_foreground", "_is_foregrounds", "_run")

    def __init__(self, func: Callable[[str, Any], Any], in_foreground: Callable[[], bool]) -> None:
        self._func = func
        self._in_foreground = in_foreground
        self._run: str | None = None  # the uid of the run that the subscriber has
        self._is_foregrounds = False
        self._descriptors: set[str] = set()  # of that run

    def __call__(self, name: str, doc: Any) -> None:
        """Pass a document on if it belongs to the run that the subscriber has."""
        if name == "start":
            self._start(doc)
        elif self._belongs(name, doc):
            if name == "descriptor":
                self._descriptors.add(doc["uid"])
            elif name == "stop":
                self._run = None
            self._func(name, doc)

    def _start(self, doc: Any) -> None:
        foreground = self._in_foreground()
        if self._run is not None and (self._is_foregrounds or not foreground):
            return
        self._run, self._is_foregrounds = doc["uid"], foreground
        self._descriptors.clear()
        self._func("start", doc)

    def _belongs(self, name: str, doc: Any) -> bool:
        if self._run is None:
            return False
        if "run_start" in doc:
            return bool(doc["run_start"] == self._run)
        if "descriptor" in doc:
            return doc["descriptor"] in self._descriptors
        return True  # a datum: harmless to whoever has not asked for its resource
