"""Names and lives: which tasks there are, and which that have ended are remembered."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final, final

from freewheel.core import EngineClosedError

if TYPE_CHECKING:
    from ._holders import Holder
    from ._life import Life

__all__ = ["Roster"]

#: So many ended tasks are remembered that are owed to nobody.
REMEMBERED: Final = 64


@final
class Roster:
    """The tasks of the engine, or of one plan, by the names that they answer to.

    A task that runs is always there. One that has ended stays for as long as its result is owed
    to a plan; of the others the last ones are remembered.

    All methods may be called from any thread.

    Parameters
    ----------
    remembered : int
        So many ended tasks that are owed to nobody are remembered.
    """

    __slots__ = (
        "_alive",
        "_by_name",
        "_closed",
        "_forgettable",
        "_lock",
        "_numbers",
        "_remembered",
    )

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self._remembered = remembered
        # Held for a dictionary's work alone. The engine's may take that of one plan below it, in
        # `free_name`; a plan's takes none.
        # Re-entrant: a finalizer that runs in the middle may start a task, or ask for one.
        self._lock = threading.RLock()
        # Written with _lock held, and read so but for two looks: whether any is alive, and whether
        # it is closed, which `add` asks again. What is in _forgettable, in the order of the ends,
        # is in _by_name too, or its name has gone to a newer task.
        self._alive: dict[int, Life] = {}  # by the id of the task
        self._by_name: dict[str, Life] = {}
        self._forgettable: dict[str, Life] = {}
        # Of the latest task of a name that was given none; with the engine's roster's lock held.
        self._numbers: dict[str, int] = {}
        self._closed = False

    # -- looking ------------------------------------------------------------------------------

    @property
    def alive(self) -> tuple[Life, ...]:
        """The lives of the tasks that have not ended, oldest first."""
        if not self._alive:  # one read, which is old or new
            return ()
        with self._lock:
            return tuple(self._alive.values())

    @property
    def known(self) -> tuple[Life, ...]:
        """The lives of all tasks that a name leads to, and of those that still run."""
        with self._lock:
            named = {id(life): life for life in self._by_name.values()}
            named.update((id(life), life) for life in self._alive.values())
            return tuple(named.values())

    def find(self, name: str) -> Life | None:
        """Return the life of the task that answers to ``name``."""
        with self._lock:
            return self._by_name.get(name)

    def names(self) -> list[str]:
        """Return the names that tasks answer to."""
        with self._lock:
            return list(self._by_name)

    def life_of(self, holder: Holder) -> Life | None:
        """Return the life of a holder of devices that is a task and runs."""
        with self._lock:
            return self._alive.get(id(holder))

    def free_name(self, name: str, plan: Roster) -> str:
        """Return a name for a new task of a plan: ``name``, with a number if need be."""
        with self._lock:
            number = 0 if plan is self else plan._numbers.get(name, 0)
            while True:
                number += 1
                numbered = name if number == 1 else f"{name}-{number}"
                known = self._by_name.get(numbered)
                if known is None or (known.over and plan.find(numbered) is None):
                    break
            if plan is not self:
                plan._numbers[name] = number
            return numbered

    # -- coming and going -----------------------------------------------------------------------

    def check_open(self, name: str) -> None:
        """Refuse a new task when the engine is being closed.

        Raises
        ------
        EngineClosedError
            That names it.
        """
        if self._closed:
            raise EngineClosedError(
                f"the engine is being closed: {name!r} cannot be started any more"
            )

    def add(self, life: Life, *, owned: bool = True) -> None:
        """Take a task in; one that is not owned is only known by its name.

        Raises
        ------
        EngineClosedError
            After `close`.
        """
        task = life.task
        with self._lock:
            self.check_open(task.name)
            self._by_name.pop(task.name, None)  # so that the newest comes last
            self._by_name[task.name] = life
            self._forgettable.pop(task.name, None)
            if owned:
                self._alive[id(task)] = life
            elif life.over:
                self._forget_later(life)

    def ended(self, life: Life, *, owed: bool) -> None:
        """Note the end of a task, and whether somebody is to be told of its result."""
        with self._lock:
            self._alive.pop(id(life.task), None)
            if not owed:
                self._forget_later(life)

    def delivered(self, life: Life) -> None:
        """Note that who was owed the result of an ended task has got it."""
        with self._lock:
            self._forget_later(life)

    def close(self) -> None:
        """Take no further tasks in."""
        with self._lock:
            self._closed = True

    def _forget_later(self, life: Life) -> None:
        """Remember an ended task until others have come after it. With _lock held."""
        name = life.task.name
        if self._by_name.get(name) is not life:
            return
        self._forgettable[name] = life
        while len(self._forgettable) > self._remembered:
            oldest = next(iter(self._forgettable))
            if self._by_name.get(oldest) is self._forgettable.pop(oldest):
                del self._by_name[oldest]
