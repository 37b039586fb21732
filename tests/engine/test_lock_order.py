"""The order in which locks are taken: what `docs/explanation/threads.md` says of it."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from bluesky.utils import Msg

from doubles import Device
from freewheel import Action, RunEngine
from freewheel.background._roster import Roster
from freewheel.core import ResourceConflictError, Status, _actions, _callbacks, _latch, _status
from freewheel.core._timers import timers
from freewheel.plan_stubs import (
    background,
    background_results,
    checkpoint,
    claim,
    declare_progress,
    release,
    update_progress,
    wait_for_actions,
    wait_for_background,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WAIT = 30
TURNS = 20

#: (who is held, what is taken below it); as in the table of the page.
ALLOWED = {
    ("state", "ledger"),
    ("state", "roster"),
    ("state", "board"),
    ("state", "life"),
    ("roster", "plan roster"),
    ("board", "latches"),
    ("state", "latches"),  # below the board, which is below the state
    ("statuses", "helpers"),
    ("statuses", "timers"),
    ("helpers", "timers"),
}


class Watch:
    """Notes which locks each thread takes while it holds which others."""

    def __init__(self) -> None:
        self.pairs: set[tuple[str, str]] = set()
        self._held = threading.local()

    def wrap(self, name: str, lock: Any) -> Watched:
        return Watched(self, name, lock)

    def taken(self, name: str) -> None:
        held: list[str] = self._held.__dict__.setdefault("names", [])
        # To take the same lock once more is no new step: all of them that may be are re-entrant.
        self.pairs.update((outer, name) for outer in held if outer != name)
        held.append(name)

    def given_back(self, name: str) -> None:
        self._held.names.remove(name)


class Watched:
    """A lock that is watched."""

    def __init__(self, watch: Watch, name: str, lock: Any) -> None:
        self._watch, self._name, self._lock = watch, name, lock

    def __enter__(self) -> None:
        self._watch.taken(self._name)
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()
        self._watch.given_back(self._name)


@pytest.fixture
def watch(engine: RunEngine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watch]:
    watch = Watch()
    core, background = engine._core, engine.background
    board, progress = core.household.board, core.household.progress
    owners: list[tuple[str, Any, str]] = [
        ("state", core.states, "lock"),
        ("ledger", engine.claims, "_lock"),
        ("roster", background.roster, "_lock"),
        ("results", background.results, "_lock"),
        ("pending", background.pending, "_arrival"),
        ("board", board, "_lock"),
        ("progress", progress, "lock"),
        ("services", engine._services, "_lock"),
        ("latches", _latch, "_order"),
        ("making", _actions, "_making"),
        ("statuses", _status, "_lock"),
        ("helpers", _callbacks.helpers, "_lock"),
        ("timers", timers, "_lock"),
    ]
    for name, owner, attribute in owners:
        lock = watch.wrap(name, getattr(owner, attribute))
        # A condition is entered like a lock, and notified.
        if attribute == "_arrival":
            lock.notify_all = getattr(owner, attribute).notify_all  # type: ignore[attr-defined]
        monkeypatch.setattr(owner, attribute, lock)
    for cls, name in ((Roster, "plan roster"), (type(engine(_nothing()).life), "life")):
        _watch_new(monkeypatch, watch, cls, name)
    return watch


def _nothing() -> Any:
    yield Msg("null")


def _watch_new(monkeypatch: pytest.MonkeyPatch, watch: Watch, cls: Any, name: str) -> None:
    make = cls.__init__

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        make(self, *args, **kwargs)
        self._lock = watch.wrap(name, self._lock)

    monkeypatch.setattr(cls, "__init__", init)


def repeat(function: Callable[[], Any], over: threading.Event, failed: list[BaseException]) -> Any:
    def work() -> None:
        try:
            while not over.is_set():
                function()
                over.wait(0.001)
        except BaseException as error:
            failed.append(error)

    return threading.Thread(target=work)


def test_locks_are_taken_in_the_written_order(engine: RunEngine, watch: Watch) -> None:
    stage, camera = Device("stage"), Device("camera")
    go = Action(name="go")

    def task() -> Any:
        yield from checkpoint()
        yield Msg("trigger", camera, group="A")
        yield Msg("wait", None, group="A")
        return 1

    def plan() -> Any:
        yield from claim(stage)
        yield from declare_progress("turns")
        for turn in range(TURNS):
            yield from checkpoint()
            yield from background(task())
            yield Msg("set", stage, turn, group="B")
            yield from update_progress("turns", fraction=turn / TURNS)
            yield from wait_for_actions(go.event_map, timeout=None)
            go.latch.reset()
            yield from background_results()
            yield from wait_for_background()
            yield Msg("wait", None, group="B")
        yield from release(stage)

    def trigger() -> None:
        with suppress(KeyError):  # the plan does something else at this moment
            engine.trigger_action("go")

    def hold() -> None:
        with suppress(ResourceConflictError), engine.claims.hold(camera):
            engine.claims.by_name()

    def launch() -> None:
        engine.background.launch(lambda: 2, name="launched").result(WAIT)
        engine.background.pending.pop_all()

    def finish() -> None:
        status = Status(timeout=WAIT)
        status.add_callback(lambda _: None)
        status.set_finished()

    over = threading.Event()
    failed: list[BaseException] = []
    actions = (trigger, hold, launch, finish, engine.snapshot, lambda: engine.queued)
    threads = [repeat(action, over, failed) for action in actions]
    # The hand may have the camera when a task reaches for it: the plan is told of that.
    engine.background.on_merge(lambda task, mode: engine.snapshot())
    for thread in threads:
        thread.start()
    try:
        ends = [engine(plan()).exception(WAIT) for _ in range(3)]
    finally:
        over.set()
        for thread in threads:
            thread.join(WAIT)

    assert failed == []
    assert not [end for end in ends if not isinstance(end, ResourceConflictError | None)]
    assert watch.pairs <= ALLOWED, sorted(watch.pairs - ALLOWED)
    # And it was no quiet day.
    assert watch.pairs >= {
        ("state", "ledger"),
        ("state", "roster"),
        ("state", "board"),
        ("board", "latches"),
        ("statuses", "helpers"),
    }
