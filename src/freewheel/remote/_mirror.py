"""What a client knows of an engine elsewhere, kept up to date by its news."""

from __future__ import annotations

import json
import threading
import weakref
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from freewheel.core import Action, EngineSnapshot

from ._futures import RemotePlanFuture, RemoteTask, end

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from freewheel.core import OfferedAction, PlanCall, Progress, SRLatch

__all__ = ["Mirror", "outcome_key"]

_ACTIONS: Final = 1_000
#: Ends that are remembered, for futures that are asked for only after them.
_ENDINGS: Final = 1_000


def outcome_key(key: str) -> str:
    """Return the key of the outcome of a plan that is submitted under a key."""
    return f"{key}-outcome"


class Mirror:
    """The picture of an engine elsewhere, with its plans, tasks and latches as objects.

    Written on the line's thread; looked at on any.

    Parameters
    ----------
    delivery : threading.Thread
        Where futures end, so that nobody may wait for one there.
    ask : callable
        ``ask(verb, **args)``: asks the server, and waits a little for the answer.
    switch : callable
        ``switch(name, to)``: asks for an action to be triggered or released, without waiting.
    """

    def __init__(
        self,
        delivery: threading.Thread,
        ask: Callable[..., Any],
        switch: Callable[[str, bool], object],
    ) -> None:
        self._delivery = delivery
        self._ask = ask
        self._switch = switch
        # Guards all that follows; no callback is called with it held.
        self._lock = threading.RLock()
        self._picture: dict[str, Any] = {}
        self._snapshot: EngineSnapshot | None = None
        self._plans: weakref.WeakValueDictionary[str, RemotePlanFuture] = (
            weakref.WeakValueDictionary()
        )
        self._outcomes: weakref.WeakValueDictionary[str, Any] = weakref.WeakValueDictionary()
        self._tasks: weakref.WeakValueDictionary[str, RemoteTask] = weakref.WeakValueDictionary()
        self._open: dict[str, Any] = {}  # those that have not ended, so that they stay
        self._endings: dict[str, Mapping[str, Any]] = {}  # of those that ended last
        self._actions: dict[OfferedAction, Action] = {}
        self._pending: dict[str, SRLatch] = {}
        self._applying = threading.local()

    # -- looking, on any thread ---------------------------------------------------------------

    @property
    def known(self) -> bool:
        """Whether anything is known yet."""
        return bool(self._picture)

    def __getitem__(self, key: str) -> Any:
        with self._lock:
            return self._picture[key]

    def snapshot(self) -> EngineSnapshot:
        """Return the picture as an engine gives it."""
        with self._lock:
            if self._snapshot is None:
                found = EngineSnapshot.from_json(json.dumps(self._picture))
                tasks = tuple(self.task(record) for record in self._picture["tasks"])
                object.__setattr__(found, "background", tasks)
                self._snapshot = found
            return self._snapshot

    @property
    def current(self) -> RemotePlanFuture | None:
        """The future of the plan in the foreground."""
        with self._lock:
            record = self._picture["current"]
            return None if record is None else self.plan(record)

    @property
    def queued(self) -> tuple[RemotePlanFuture, ...]:
        """Those of the plans that wait."""
        with self._lock:
            return tuple(self.plan(record) for record in self._picture["queued"])

    @property
    def running(self) -> tuple[RemoteTask, ...]:
        """The tasks that have not ended."""
        with self._lock:
            return tuple(self.task(record) for record in self._picture["tasks"])

    def pending_actions(self) -> dict[str, SRLatch]:
        """Return the latches of the actions on offer."""
        with self._lock:
            return dict(self._pending)

    def progress_of(self, future: RemotePlanFuture) -> tuple[Progress, ...]:
        """Return the progress of the plan in the foreground, if it is this one."""
        current = self.current
        if current is None or current.outcome is not future.outcome:
            return ()
        found = self.snapshot().progress
        return tuple(each for each in found if not each.background)

    # -- futures ------------------------------------------------------------------------------

    def plan(self, record: Mapping[str, Any], call: PlanCall | None = None) -> RemotePlanFuture:
        """Return the future that a record is about, always the same one."""
        with self._lock:
            key = record["key"]
            life = record.get("life") or outcome_key(key)
            known = self._plans.get(key)
            if known is not None:
                return known
            ask = self._ask

            def cancel() -> bool:
                return bool(ask("cancel", key=key))

            outcome = self._outcomes.get(life)
            if outcome is None:
                outcome = RemotePlanFuture.make_outcome(record["name"], self._delivery, cancel)
                self._outcomes[life] = outcome
                self._keep(life, outcome)
            made = RemotePlanFuture(
                record,
                self._delivery,
                outcome,
                call=call,
                cancel=cancel,
                progress=self.progress_of,
            )
            self._plans[key] = made
            self._keep(key, made)
            return made

    def task(self, record: Mapping[str, Any]) -> RemoteTask:
        """Return the task that a record is about, always the same one."""
        with self._lock:
            key = record["key"]
            known = self._tasks.get(key)
            if known is None:
                known = RemoteTask(record, self._delivery, self._ask, self._starter)
                self._tasks[key] = known
                self._keep(f"{key}-future", known)
            return known

    def _starter(self, key: str) -> Any:
        """Return the task, or the outcome of the plan, that a key stands for; or ``None``."""
        with self._lock:
            return self._tasks.get(key, self._outcomes.get(key))

    def _keep(self, key: str, future: Any) -> None:
        """Keep what is new until it ends; with the lock held. It may have ended already."""
        if (ending := self._endings.get(key)) is not None:
            end(getattr(future, "future", future), ending)
        else:
            self._open[key] = future

    def end(self, key: str, record: Mapping[str, Any]) -> None:
        """End what a key stands for; on any thread but the line's."""
        with self._lock:
            self._endings[key] = record
            while len(self._endings) > _ENDINGS:
                del self._endings[next(iter(self._endings))]
            found = self._open.pop(key, None)
        if found is not None:
            end(getattr(found, "future", found), record)

    def forget(self, key: str, error: BaseException) -> None:
        """Fail a future that the server does not know, or has refused."""
        with self._lock:
            found = self._open.pop(key, None)
        if found is not None:
            getattr(found, "future", found).settle(error=error)

    def begin_anew(self) -> list[Any]:
        """Forget what stood for the keys of a server that is no more; return what had not ended.

        The next one gives the same keys to other plans and tasks.
        """
        with self._lock:
            lost = list(self._open.values())
            for known in (self._open, self._plans, self._outcomes, self._tasks, self._endings):
                known.clear()
        return lost

    def open_keys(self) -> list[str]:
        """Return the keys of all that has not ended."""
        with self._lock:
            return list(self._open)

    # -- news, on the line's thread -----------------------------------------------------------

    def apply(self, changed: Mapping[str, Any]) -> None:
        """Take what is different."""
        with self._lock:
            self._picture = {**self._picture, **changed}
            self._snapshot = None
            for name in ("queued", "others"):
                for record in changed.get(name, ()):
                    self.plan(record).tell(record)
            if changed.get("current") is not None:
                self.plan(changed["current"]).tell(changed["current"])
            for record in changed.get("tasks", ()):
                self.task(record).tell(record)
            if "actions" in changed:
                self._take_actions()

    def _take_actions(self) -> None:
        pending: dict[str, SRLatch] = {}
        for offered in self.snapshot().actions:
            latch = self._action_of(offered).event_map[offered.name]
            if offered.name in pending:
                continue
            pending[offered.name] = latch
            self._applying.now = True
            try:
                if offered.is_on:
                    latch.set()
                else:
                    latch.reset()
            finally:
                self._applying.now = False
        self._pending = pending

    def _action_of(self, offered: OfferedAction) -> Action:
        """Return the action that is like the one there, the same one as long as it is alike."""
        key = offered._replace(is_on=False)
        known = self._actions.get(key)
        if known is None:
            known = Action(
                name=offered.name,
                description=offered.description,
                togglable=offered.togglable,
                toggle_states=offered.toggle_states,
            )
            known.event_map[offered.name].watch(partial(self._switched, offered.name))
            self._actions[key] = known
            while len(self._actions) > _ACTIONS:
                del self._actions[next(iter(self._actions))]
        return known

    def _switched(self, name: str, latch: SRLatch, to: bool) -> None:
        """Pass on what somebody here does with a latch; what the server says comes back to us."""
        if not getattr(self._applying, "now", False):
            self._switch(name, to)
