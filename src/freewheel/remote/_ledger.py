"""The futures and tasks that clients are told of, by keys that they can name them with."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final

from freewheel.core import EngineFuture
from freewheel.core._devices import device_name

from ._faults import fault_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["Ledger", "ending_of", "result_of"]

#: So many that have ended are kept, for clients that come back and ask how.
_ENDED: Final = 1_000
_FUTURE: Final = "-future"


def result_of(value: Any) -> dict[str, Any]:
    """Return what a future ended with, as it is written on the line."""
    if hasattr(value, "run_start_uids") and hasattr(value, "exit_status"):  # a RunEngineResult
        error = value.exception
        return {
            "run": {
                "run_start_uids": list(value.run_start_uids),
                "plan_result": value.plan_result,
                "exit_status": value.exit_status,
                "interrupted": value.interrupted,
                "reason": value.reason,
                "exception": None if error is None else fault_of(error),
            }
        }
    if isinstance(value, tuple):
        return {"tuple": list(value)}
    # A status says no more than that it is done.
    return {"value": None if hasattr(value, "add_callback") else value}


def ending_of(future: Any) -> dict[str, Any]:
    """Return how a future that is done has ended."""
    if future.cancelled():
        return {"cancelled": getattr(future, "why_cancelled", "")}
    # Without counting as told: that a client shows it is not known here.
    error = future.peek() if isinstance(future, EngineFuture) else future.exception(0)
    return {"fault": fault_of(error)} if error is not None else result_of(future.result(0))


class Ledger:
    """Futures and tasks by key. On the server's loop alone, but for what `done` is told.

    Parameters
    ----------
    done : callable
        Called with a key, on any thread, when what it stands for is done.
    """

    def __init__(self, done: Callable[[str], object]) -> None:
        self._done = done
        self._numbers = itertools.count(1)
        self._keys: dict[int, str] = {}  # by the id of what is kept in one of the next two
        self._live: dict[str, Any] = {}
        self._ended: OrderedDict[str, Any] = OrderedDict()
        self._lives: dict[str, str] = {}  # the key of a plan's future to that of its outcome
        self._tasks: dict[str, Any] = {}

    # -- keys ---------------------------------------------------------------------------------

    def key_of(self, future: Any, key: str = "") -> str:
        """Return the key of a plan's future, which is noted with its outcome if it is new."""
        known = self._keys.get(id(future))
        if known is None:
            known = self._note(future, key or f"plan-{next(self._numbers)}")
            outcome = future.outcome
            life = self._keys.get(id(outcome))
            self._lives[known] = life or self._note(outcome, f"{known}-outcome")
        return known

    def task_key(self, task: Any) -> str:
        """Return the key of a task, which is noted if it is new."""
        known = self._keys.get(id(task))
        if known is None:
            known = f"task-{next(self._numbers)}"
            self._keys[id(task)] = known
            self._tasks[known] = task
            self._note(task.future, f"{known}{_FUTURE}")
        return known

    def _note(self, future: Any, key: str) -> str:
        self._keys[id(future)] = key
        self._live[key] = future
        future.add_done_callback(lambda _: self._done(key))
        return key

    def knows(self, key: str) -> bool:
        """Tell whether a key stands for something."""
        return key in self._live or key in self._ended or key in self._tasks

    def find(self, key: str) -> Any:
        """Return what a key stands for.

        Raises
        ------
        KeyError
            If it is not known, or has been forgotten.
        """
        found = self._live.get(key, self._ended.get(key, self._tasks.get(key)))
        if found is None:
            raise KeyError(f"There is no plan or task {key!r} here, or it ended long ago.")
        return found

    # -- pictures -----------------------------------------------------------------------------

    def record(self, future: Any, key: str = "") -> dict[str, Any]:
        """Return what is told of a plan's future."""
        key = self.key_of(future, key)
        call = future.call
        return {
            "key": key,
            "life": self._lives.get(key, ""),
            "name": future.plan_name,
            "arguments": "" if call is None else call.arguments,
            "status": str(future.status),
            "elapsed": future.elapsed,
            "time_left": future.time_left,
        }

    def task_record(self, task: Any) -> dict[str, Any]:
        """Return what is told of a task."""
        return {
            "key": self.task_key(task),
            "name": task.name,
            "status": str(task.status),
            "waits_for": task.waits_for,
            "runs": list(task.run_start_uids),
            "claims": [device_name(device) for device in task.claims],
            "parent": self._parent_key(task),
        }

    def _parent_key(self, task: Any) -> str:
        """Return the key of the task that has started one, or of its plan's outcome."""
        parent = task.parent
        return self._keys.get(id(getattr(parent, "outcome", parent)), "")

    def others(self, shown: Iterable[str]) -> list[dict[str, Any]]:
        """Return the records of all plans under way that are not among ``shown``."""
        skipped = set(shown)
        return [
            self.record(self._live[key])
            for key in self._lives
            if key not in skipped and key in self._live
        ]

    # -- ends ---------------------------------------------------------------------------------

    def endings(self, key: str) -> list[list[Any]]:
        """Return what is to be told of an end: nothing if there is none, or it was told."""
        found: list[list[Any]] = []
        for each in (key, self._lives.get(key, "")):
            future = self._live.get(each)
            if future is not None and future.done():
                found.append(["end", each, ending_of(future)])
                self._put_away(each)
        return found

    def task_endings(self, key: str) -> list[list[Any]]:
        """Return the same for a task, by its own key."""
        return self.endings(f"{key}{_FUTURE}")

    def ending(self, key: str) -> dict[str, Any] | None:
        """Return how something has ended; ``None`` if it has not.

        Raises
        ------
        KeyError
            If it is not known here.
        """
        future = self.find(key)
        return ending_of(future) if future.done() else None

    def _put_away(self, key: str) -> None:
        future = self._live.pop(key)
        self._ended[key] = future
        while len(self._ended) > _ENDED:
            old, gone = self._ended.popitem(last=False)
            self._keys.pop(id(gone), None)
            self._lives.pop(old, None)
            if task := self._tasks.pop(old.removesuffix(_FUTURE), None):
                self._keys.pop(id(task), None)
