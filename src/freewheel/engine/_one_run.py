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

    A task's run that begins while the subscriber has another one is left out as a whole. When the
    foreground opens a run, a task's run that the subscriber has is given up: its stop document
    does not come. Runs that one foreground plan nests come as they do with bluesky's engine.

    All of it runs on the engine's loop.

    Parameters
    ----------
    func : callable
        The subscriber.
    in_foreground : callable
        Tells whether the document that is emitted at this moment is the foreground's.
    """

    __slots__ = ("_func", "_in_foreground", "_of_task", "_runs")

    def __init__(self, func: Callable[[str, Any], Any], in_foreground: Callable[[], bool]) -> None:
        self._func = func
        self._in_foreground = in_foreground
        # The runs that the subscriber has, with their descriptors, by uid.
        self._runs: dict[str, set[str]] = {}
        self._of_task: str | None = None  # the one among them that is a task's: then the only one

    def __call__(self, name: str, doc: Any) -> None:
        """Pass a document on if it belongs to a run that the subscriber has."""
        if name == "start":
            self._start(doc)
        elif self._belongs(doc):
            if name == "descriptor":
                self._runs[doc["run_start"]].add(doc["uid"])
            elif name == "stop":
                del self._runs[doc["run_start"]]
            self._func(name, doc)

    def _start(self, doc: Any) -> None:
        uid = doc["uid"]
        if self._in_foreground():
            if self._of_task is not None:
                self._runs.pop(self._of_task, None)
            self._of_task = None
        elif self._runs:
            return
        else:
            self._of_task = uid
        self._runs[uid] = set()
        self._func("start", doc)

    def _belongs(self, doc: Any) -> bool:
        if not self._runs:
            return False
        if "run_start" in doc:
            return doc["run_start"] in self._runs
        if "descriptor" in doc:
            return any(doc["descriptor"] in known for known in self._runs.values())
        return True  # a datum: harmless to whoever has not asked for its resource
