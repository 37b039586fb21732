"""What is refused, and what the refusal says."""

from __future__ import annotations

import importlib.util
import threading
import time
from typing import Any

import pytest
from bluesky.utils import Msg

from doubles import Device, Log, endless, run, value
from freewheel import MissingExtraError, RunEngine, WaitTimeoutError
from freewheel.background import TaskStatus
from freewheel.plan_stubs import (
    background,
    cancel_background,
    checkpoint,
    claim,
    null,
    release,
    sleep,
    wait_for_background,
)


@pytest.mark.parametrize("stub", [wait_for_background, cancel_background])
def test_an_unknown_name(engine: RunEngine, stub: Any) -> None:
    def plan() -> Any:
        yield from background(value(1), name="known")
        yield from wait_for_background("known")
        yield from stub("unknown")

    with pytest.raises(KeyError, match=r"'unknown'.*'known'"):
        run(engine, plan())
    with pytest.raises(KeyError, match="'unknown'"):
        engine.background.cancel("unknown")
    with pytest.raises(KeyError, match="'unknown'"):
        engine.background["unknown"]


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        (None, "pass a plan"),
        (3, "pass a plan"),
        ("plan", "pass a plan"),
        ([], "pass a plan"),
        ([1, 2], "pass a plan"),
        (Device, "pass a plan"),
        (endless, r"'endless' is a plan function, not a plan: call it, endless\(\.\.\.\)"),
    ],
)
def test_a_payload_that_cannot_be_run(engine: RunEngine, payload: Any, text: str) -> None:
    with pytest.raises(TypeError, match=text):
        run(engine, background(payload))
    with pytest.raises(TypeError, match=text):
        engine.background.launch(payload)


def test_a_coroutine_that_was_called_already(engine: RunEngine) -> None:
    async def coroutine() -> None: ...

    with pytest.raises(TypeError, match="without calling it"):
        engine.background.launch(coroutine())


def test_an_async_generator_function(engine: RunEngine) -> None:
    async def generator() -> Any:
        yield 1

    with pytest.raises(TypeError, match="async generator"):
        engine.background.launch(generator)


def test_a_function_that_returns_a_plan(engine: RunEngine) -> None:
    with pytest.raises(TypeError, match="returned a plan"):
        engine.background.launch(lambda: endless()).result(10)


def test_messages_in_a_list_are_a_plan(engine: RunEngine) -> None:
    assert engine.background.launch([Msg("null")]).result(10) is None


@pytest.mark.parametrize("claims", ["motor", 3, [Device("ok"), "motor"], Device])
def test_a_claim_that_is_no_device(engine: RunEngine, claims: Any) -> None:
    with pytest.raises(TypeError, match="only devices can be claimed"):
        engine.background.launch(value(1), claims=claims)
    with pytest.raises(TypeError, match="only devices can be claimed"):
        run(engine, background(value(1), claims=claims))
    if not isinstance(claims, list):
        with pytest.raises(TypeError, match="only devices can be claimed"):
            run(engine, claim(claims))
    assert not engine.claims


def test_releasing_what_is_not_held(engine: RunEngine) -> None:
    with pytest.raises(KeyError, match="does not hold 'm'"):
        run(engine, release(Device("m")))


def test_a_flavour_that_is_not_installed(
    engine: RunEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def coroutine() -> None: ...

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r'pip install "freewheel\[trio\]"'):
        engine.background.launch(coroutine, flavour="trio")


def test_flavours_that_do_not_exist_or_do_not_fit(engine: RunEngine) -> None:
    async def coroutine() -> None: ...

    with pytest.raises(ValueError, match="the flavours are 'plan', 'asyncio'"):
        engine.background.launch(coroutine, flavour="curio")
    with pytest.raises(ValueError, match="no flavour"):
        engine.background.launch(coroutine, flavour=time)
    with pytest.raises(TypeError, match=r"flavour 'threading'.*is of flavour 'asyncio'"):
        engine.background.launch(coroutine, flavour="threading")
    with pytest.raises(TypeError, match="flavour 'trio'"):
        engine.background.launch(lambda: 1, flavour="trio")


def test_an_unknown_on_conflict_and_a_name_that_is_none(engine: RunEngine) -> None:
    with pytest.raises(ValueError, match="'cancel', 'pause', 'error', not 'wait'"):
        engine.background.launch(value(1), on_conflict="wait")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="is a string, not 3"):
        engine.background.launch(value(1), name=3)  # type: ignore[arg-type]


def test_waiting_in_a_document_callback_is_refused(engine: RunEngine) -> None:
    refused: list[BaseException] = []

    def callback(name: str, doc: Any) -> None:
        try:
            engine.background["x"].result()
        except RuntimeError as error:
            refused.append(error)

    def plan() -> Any:
        yield from background(endless(), name="x")
        yield Msg("open_run")
        yield Msg("close_run")
        engine.background.cancel("x")

    engine(plan(), callback).result(10)
    assert len(refused) == 2
    assert "would never end" in str(refused[0])


@pytest.mark.parametrize("command", ["pause", "input"])
def test_a_background_plan_cannot_pause_or_ask(engine: RunEngine, command: str) -> None:
    def plan() -> Any:
        yield Msg(command)

    with pytest.raises(RuntimeError, match="a background plan cannot"):
        engine.background.launch(plan()).result(10)


def test_a_function_without_a_context_cannot_be_paused(engine: RunEngine) -> None:
    gate = threading.Event()
    task = engine.background.launch(lambda: gate.wait(10))
    with pytest.raises(RuntimeError, match="no parameter `context`"):
        task.pause()
    gate.set()
    task.result(10)


def test_a_task_that_never_ends_is_given_up_with_an_error_that_names_it(
    engine: RunEngine, log: Log, caplog: pytest.LogCaptureFixture
) -> None:
    gate, motor = threading.Event(), Device("motor")
    engine.background.grace = 0.02

    def plan() -> Any:
        task = yield from background(lambda: gate.wait(20), name="deaf", claims=motor)
        yield from null()
        yield from cancel_background("deaf")
        log.add(task)
        try:
            yield from wait_for_background("deaf")
        except WaitTimeoutError as error:
            return str(error)

    text = run(engine, plan())
    assert "'deaf' did not end within" in text
    assert "it still holds motor" in text
    (task,) = log.entries
    assert task.status is TaskStatus.FAILED
    # The engine is usable, but for the device that the lost function may still move.
    assert run(engine, value(1)) == 1
    assert engine.claims[motor] == "deaf"
    released = threading.Event()
    engine.claims.on_change(lambda held: released.set())
    gate.set()
    assert released.wait(10)
    assert not engine.claims
    assert "'deaf' did not end" in caplog.text


@pytest.mark.parametrize("how", ["stop", "halt"])
def test_a_plan_that_never_ends_when_it_is_cancelled_is_halted(
    engine: RunEngine, log: Log, how: str
) -> None:
    engine.background.grace = 0.02

    def stubborn() -> Any:
        while True:
            try:
                yield from checkpoint()
                log.add("turn")
                yield from sleep(0.001)
            except Exception:
                log.add("refuses")

    def plan() -> Any:
        yield from background(stubborn(), name="stubborn")
        yield from sleep(20)

    future = engine(plan())
    log.wait_for("turn")
    getattr(engine, how)().result(10)
    assert future.outcome.done()
    assert engine.background["stubborn"].status is TaskStatus.CANCELLED
    assert engine.background.running == ()


def test_msg_background_takes_one_payload(engine: RunEngine) -> None:
    def plan() -> Any:
        yield Msg("background", None)

    with pytest.raises(TypeError, match="takes one payload"):
        run(engine, plan())


def test_a_negative_time_out(engine: RunEngine) -> None:
    with pytest.raises(ValueError, match="0 s or more, not -1"):
        run(engine, wait_for_background(timeout=-1))
