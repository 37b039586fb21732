# ruff: noqa: N803
"""``RE.explain()`` and ``repr(RE)``: what the engine waits for, and what frees it."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from bluesky.utils import Msg, RunEngineInterrupted

from doubles import Blocked, Device, on_loop, quick
from freewheel import ServiceFailedError
from freewheel.engine import _explain

T = 10


def test_idle_running_paused_and_closed(
    make_engine: Any, gate: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_explain, "ANSWER", T)  # however busy the machine is
    engine = make_engine()
    assert "No plan is in the foreground" in engine.explain()
    engine(gate.plan())
    gate.wait()
    waiting = engine(quick())
    text = engine.explain()
    assert "'plan' is running" in text
    assert "Behind it wait: quick" in text
    assert "RE.request_pause()" in text
    assert "engine's thread answers" in text
    engine.request_pause().result(T)
    assert "RE.resume()" in engine.explain()
    engine.stop().result(T)
    assert waiting.cancelled()
    engine.close()
    assert "closed" in engine.explain()


def test_a_callback_that_blocks_the_loop_is_shown(RE: Any) -> None:
    with Blocked(RE):
        text = RE.explain()
    assert "has not answered" in text
    assert "threading.py" in text


def test_a_held_queue_says_what_frees_it(RE: Any) -> None:
    assert repr(RE) == "<RunEngine idle>"
    RE.queue.hold("lunch")
    RE(quick())
    for text in (repr(RE), RE.explain()):
        assert "lunch" in text
        assert "quick" in text
        assert "RE.queue.release()" in text


def test_a_service_that_has_ended_says_what_frees_the_engine(RE: Any) -> None:
    async def watchdog() -> str:
        return "over"

    task = RE.adopt(watchdog)
    task.future.exception(T)
    for text in (repr(RE), RE.explain()):
        assert "'watchdog' returned 'over'" in text
        assert "RE.adopt(...)" in text
    with pytest.raises(ServiceFailedError):
        RE(quick())


def test_the_prompt_says_that_the_queue_is_held(RE: Any) -> None:
    from freewheel.ipython._magics import _jobs

    assert not any("queue held" in line for line in _jobs(RE))
    RE.queue.hold("lunch")
    (line,) = [line for line in _jobs(RE) if line.startswith("queue held")]
    assert "lunch" in line
    assert "%release" in line


class Stuck(Device):
    """A device that hangs in one of its methods until the test lets it go on."""

    def __init__(self, engine: Any, verb: str) -> None:
        super().__init__("shutter")
        self.reached = threading.Event()
        self._engine = engine
        self._go_on = engine.loop.create_future()
        setattr(self, verb, self._hang)

    async def pause(self) -> None: ...

    async def resume(self) -> None: ...

    async def _hang(self, **_: Any) -> None:
        self.reached.set()
        await asyncio.shield(self._go_on)

    def let_go(self) -> None:
        self._engine.loop.call_soon_threadsafe(self._go_on.set_result, None)


def uses(device: Any) -> Any:
    yield Msg("checkpoint")
    yield Msg("stage", device)
    yield Msg("set", device, 1)
    while True:
        yield Msg("checkpoint")
        yield Msg("sleep", None, 0.001)


@pytest.mark.parametrize(
    ("verb", "asked"),
    [("pause", "request_pause"), ("stop", "request_pause"), ("stop", "stop"), ("unstage", "abort")],
)
def test_the_device_behind_which_a_pause_or_a_clean_up_hangs(
    RE: Any, verb: str, asked: str
) -> None:
    device = Stuck(RE, verb)
    future = RE(uses(device))
    while not device.staged:
        assert device.acted.wait(T)
    getattr(RE, asked)()
    assert device.reached.wait(T)
    assert f"It is to {verb} shutter, and waits until that is done." in RE.explain()
    device.let_go()
    if asked == "request_pause":
        with pytest.raises(RunEngineInterrupted):
            future.result(T)
        assert "It is to" not in RE.explain()
        RE.stop()
    future.outcome.result(T)
    assert "It is to" not in RE.explain()


def test_a_resume_that_hangs(RE: Any) -> None:
    device = Stuck(RE, "resume")
    future = RE(uses(device))
    assert device.acted.wait(T)
    RE.request_pause().result(T)
    future = RE.resume()
    assert device.reached.wait(T)
    assert "It is to resume shutter, and waits" in RE.explain()
    device.let_go()
    RE.stop()
    future.outcome.result(T)


def test_the_device_of_a_task_that_a_pause_waits_for(RE: Any) -> None:
    device = Stuck(RE, "pause")

    def plan() -> Any:
        yield Msg("background", None, uses(device), name="x")
        yield Msg("checkpoint")
        yield Msg("wait_for_background", None, "x")

    future = RE(plan())
    assert device.acted.wait(T)
    RE.request_pause()
    assert device.reached.wait(T)
    text = RE.explain()
    assert "It is to bring its background tasks to rest, and waits" in text
    assert "task.cancel() ends it.\n  It is to pause shutter, and waits" in text
    device.let_go()
    with pytest.raises(RunEngineInterrupted):
        future.result(T)
    RE.stop()
    future.outcome.result(T)


def test_a_status_that_is_waited_for(RE: Any) -> None:
    device = Device("motor", by_hand=True)
    future = RE([Msg("set", device, 1, group="a"), Msg("wait", None, group="a")])
    assert device.acted.wait(T)
    while "'wait'" not in RE.explain():
        on_loop(RE, lambda: None)
    assert "It waits for, or has under way: motor." in RE.explain()
    device.moves[0].finish()
    future.result(T)
