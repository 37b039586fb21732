"""Moves that begin within ``set``: nobody can tell, but by the time."""

# ruff: noqa: N803

from __future__ import annotations

import asyncio
import threading
from typing import Any

import bluesky
import pytest
from bluesky.utils import FailedStatus, Msg
from ophyd_async.core import AsyncStatus, Device, soft_signal_r_and_setter, soft_signal_rw

from freewheel import RunEngine
from freewheel.engine._bluesky._eager import EAGER, EagerSets

T = 10
pytestmark = pytest.mark.skipif(not EAGER, reason="Python lets tasks begin at once from 3.12.5")


class Soft(Device):
    """A device that is there at once, and tells so."""

    def __init__(self) -> None:
        self.told, self._tell = soft_signal_r_and_setter(float)
        self.did: list[str] = []
        super().__init__("soft")

    @property
    def watched(self) -> Any:
        return self.told

    @AsyncStatus.wrap
    async def set(self, value: float) -> None:
        self._task = asyncio.create_task(self._child())
        self.did.append("move")
        self._tell(value)

    async def _child(self) -> None:
        self.did.append("child")


class Mover(Device):
    """A device that moves two signals, one at once and one a turn of the loop later."""

    def __init__(self) -> None:
        self.first = soft_signal_rw(float)
        self.second = soft_signal_rw(float)
        self.did: list[str] = []
        super().__init__("mover")

    @AsyncStatus.wrap
    async def set(self, value: float) -> None:
        child = asyncio.create_task(self._child())
        self.did.append("move")
        await self.first.set(value)
        await child
        await self.second.set(value)

    @property
    def watched(self) -> Any:
        return self.second

    async def _child(self) -> None:
        self.did.append("child")


class OwnTask:
    """A device that makes its task itself, and is ready for it only after that."""

    name = "own"
    parent = None

    def set(self, value: float) -> AsyncStatus[None]:
        status = AsyncStatus(self._move())
        self._target = value
        return status

    async def _move(self) -> None:
        assert self._target


class Fails(Device):
    @AsyncStatus.wrap
    async def set(self, value: float) -> None:
        raise ValueError("it does not move")


def moves(mover: Any) -> Any:
    watched = mover.watched
    yield Msg("open_run")
    yield Msg("monitor", watched, name="watched")
    for value in (1.0, 2.0, 3.0):
        yield Msg("set", mover, value, group="all")
        yield Msg("create", name="primary")
        yield Msg("read", watched)
        yield Msg("save")
        yield Msg("wait", None, group="all")
    yield Msg("unmonitor", watched)
    yield Msg("close_run")


@pytest.mark.parametrize("kind", [Soft, Mover])
def test_documents_come_in_blueskys_order(RE: RunEngine, kind: Any) -> None:
    seen: list[list[Any]] = []
    theirs = bluesky.RunEngine({}, context_managers=[])
    for engine in (theirs, RE):
        seen.append([])

        def note(name: str, doc: Any, log: list[Any] = seen[-1]) -> None:
            log.append((name, doc.get("data")))

        engine.subscribe(note)
        ended = engine(moves(kind()))
    ended.result(T)  # type: ignore[union-attr]
    theirs.loop.call_soon_threadsafe(theirs.loop.stop)
    theirs._th.join(T)
    theirs.loop.close()
    assert seen[0] == seen[1]
    assert len(seen[0]) > 8


def test_what_a_device_begins_itself_begins_as_ever(RE: RunEngine) -> None:
    mover, soft, own = Mover(), Soft(), OwnTask()

    def plan() -> Any:
        yield Msg("set", mover, 1.0, group="all")
        yield Msg("set", soft, 1.0, group="all")
        yield Msg("set", own, 2.0, group="all")
        yield Msg("wait", None, group="all")

    RE(plan()).result(T)
    assert mover.did == soft.did == ["move", "child"]


async def test_what_awaits_nothing_is_over_when_set_returns() -> None:
    loop = asyncio.get_running_loop()
    sets = EagerSets(loop)
    soft, mover = (sets(device.set, (1.0,), {}) for device in (Soft(), Mover()))
    assert (soft.done, mover.done) == (True, False)
    assert loop.get_task_factory() is None
    await soft
    await mover


def test_a_move_that_fails_at_once_fails_the_plan(RE: RunEngine) -> None:
    def plan() -> Any:
        yield Msg("set", Fails("fails"), 1.0, group="all")
        yield Msg("wait", None, group="all")

    with pytest.raises(FailedStatus, match="it does not move"):
        RE(plan()).result(T)
    assert RE.loop.get_task_factory() is None


def test_a_task_factory_of_the_users_stays(RE: RunEngine) -> None:
    made: list[str] = []

    def factory(loop: Any, coro: Any, **kwargs: Any) -> Any:
        made.append(coro.__qualname__)
        return asyncio.Task(coro, loop=loop, **kwargs)

    there = threading.Event()
    RE.loop.call_soon_threadsafe(RE.loop.set_task_factory, factory)
    RE.loop.call_soon_threadsafe(there.set)
    assert there.wait(T)
    mover = Mover()
    RE([Msg("set", mover, 1.0, group="all"), Msg("wait", None, group="all")]).result(T)
    assert any("wait_with_error_message" in name for name in made)
    assert RE.loop.get_task_factory() is factory
