"""The engine whose calls wait is bluesky's engine, as far as a program can tell."""

# ruff: noqa: N803

from __future__ import annotations

import asyncio
import inspect
import os
import pickle
import signal
import threading
import types
from typing import TYPE_CHECKING, Any

import bluesky.run_engine
import pytest
from bluesky.run_engine import RunEngineResult
from bluesky.utils import DuringTask, Msg, RunEngineInterrupted, SigintHandler

from doubles import in_a_run, quick, run_script
from freewheel import BlockingRunEngine
from freewheel.core import is_engine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = 10


@pytest.fixture
def bre() -> Iterator[BlockingRunEngine]:
    with BlockingRunEngine() as engine:
        yield engine


class Held:
    """A plan that waits for an event in its clean-up, on a thread of its own."""

    def __init__(self, engine: Any) -> None:
        self.engine = engine
        self.running, self.cleaning, self.let_go = (threading.Event() for _ in range(3))
        self.answer: Any = None
        self._thread = threading.Thread(target=self._call)
        self._thread.start()
        assert self.running.wait(T)

    def _call(self) -> None:
        try:
            self.answer = self.engine(in_a_run(self.plan()))
        except BaseException as error:
            self.answer = error

    def plan(self) -> Any:
        async def begun() -> None:
            self.running.set()

        async def wait() -> None:
            self.cleaning.set()
            await self.engine.loop.run_in_executor(None, self.let_go.wait)

        try:
            yield Msg("checkpoint")
            yield Msg("wait_for", None, [begun])
            yield Msg("sleep", None, 600)
        finally:
            yield Msg("wait_for", None, [wait])

    def ended(self) -> Any:
        self.let_go.set()
        self._thread.join(T)
        assert not self._thread.is_alive()
        return self.answer


def parameters(kind: type) -> list[tuple[str, Any, Any]]:
    signature = inspect.signature(kind.__init__)
    return [(each.name, each.kind, each.default) for each in signature.parameters.values()]


def test_the_constructor_is_blueskys() -> None:
    assert parameters(BlockingRunEngine) == parameters(bluesky.run_engine.RunEngine)


def test_a_call_returns_uids_or_results_as_blueskys_does(bre: Any) -> None:
    (uid,) = bre(in_a_run(quick()))
    assert isinstance(uid, str)
    assert bre(quick()) == ()
    with BlockingRunEngine(call_returns_result=True) as engine:
        assert engine(quick(5)).plan_result == 5


@pytest.mark.parametrize(
    ("end", "says"),
    [
        (lambda RE: RE.stop(), "was stopped"),
        (lambda RE: RE.abort("no beam"), "was aborted, with its clean-up, because: no beam"),
    ],
)
def test_ending_a_running_plan_does_not_wait(
    bre: Any, end: Callable[[Any], Any], says: str
) -> None:
    held = Held(bre)
    uids = end(bre)  # would hang here: the clean-up waits for what comes below
    assert len(uids) == 1
    assert held.cleaning.wait(T)
    assert bre.state in ("stopping", "aborting")
    answer = held.ended()
    assert isinstance(answer, RunEngineInterrupted)
    assert says in str(answer)
    assert bre.state == "idle"


def test_ending_a_running_plan_returns_a_result_where_calls_do() -> None:
    with BlockingRunEngine(call_returns_result=True) as engine:
        held = Held(engine)
        result = engine.abort("no beam")
        assert isinstance(result, RunEngineResult)
        assert (result.exit_status, result.interrupted, result.reason) == ("abort", True, "no beam")
        assert len(result.run_start_uids) == 1
        assert result.plan_result is engine.NO_PLAN_RETURN
        held.ended()


def test_a_failure_without_a_text_is_told_in_words(bre: Any) -> None:
    """A host that cannot say what went wrong never says that the plan has ended."""

    class SpeechlessError(Exception):
        def __str__(self) -> str:
            raise ValueError("no words")

    def plan() -> Any:
        yield Msg("open_run")
        raise SpeechlessError

    with pytest.raises(RuntimeError, match="SpeechlessError whose text cannot be had") as failure:
        bre(plan())
    assert isinstance(failure.value.__cause__, SpeechlessError)
    assert len(bre(in_a_run(quick()))) == 1


def test_ending_a_paused_plan_waits_for_its_clean_up(bre: Any) -> None:
    cleaned = []

    def plan() -> Any:
        try:
            yield Msg("checkpoint")
            yield Msg("pause")
        finally:
            yield Msg("sleep", None, 0.01)
            cleaned.append(True)

    with pytest.raises(RunEngineInterrupted, match=r"'plan' was paused\..*RE\.resume\(\)"):
        bre(plan())
    assert bre.abort() == ()
    assert cleaned == [True]
    assert bre.state == "idle"


def test_a_pause_is_not_waited_for_and_a_call_meanwhile_is_refused(bre: Any) -> None:
    held = Held(bre)
    with pytest.raises(RuntimeError, match="running state"):
        bre(quick())
    assert bre.request_pause() is None
    held._thread.join(T)
    held.let_go.set()
    assert "was paused" in str(held.answer)
    assert len(bre.stop()) == 1


def test_context_managers_are_entered_around_each_call_that_waits() -> None:
    log: list[str] = []

    class Manager:
        def __init__(self, engine: Any) -> None:
            self.engine = engine

        def __enter__(self) -> None:
            log.append(f"enter {self.engine.state}")

        def __exit__(self, *_: object) -> None:
            log.append(f"exit {self.engine.state}")

    with BlockingRunEngine(context_managers=[Manager]) as engine:
        with pytest.raises(RunEngineInterrupted):
            engine([Msg("checkpoint"), Msg("pause"), Msg("null")])
        engine.resume()
    assert log == ["enter idle", "exit paused", "enter paused", "exit idle"]


def test_a_during_task_waits_and_its_failure_halts_the_plan() -> None:
    class Counting(DuringTask):  # type: ignore[misc]
        blocked = 0

        def block(self, event: threading.Event) -> None:
            self.blocked += 1
            event.wait()

    class Failing(DuringTask):  # type: ignore[misc]
        def block(self, event: threading.Event) -> None:
            raise OSError("no window")

    counting = Counting()
    with BlockingRunEngine(during_task=counting) as engine:
        engine(quick())
        assert counting.blocked == 1
    with BlockingRunEngine(during_task=Failing()) as engine:
        with pytest.raises(OSError, match="no window"):
            engine([Msg("sleep", None, 600)])


def test_bluesky_handles_ctrl_c_on_the_main_thread_alone(bre: Any) -> None:
    assert bre.context_managers == [SigintHandler]
    answers: list[Any] = []
    thread = threading.Thread(target=lambda: answers.append(bre(quick())))
    thread.start()
    thread.join(T)
    assert answers == [()]


# Hit again and again: a thread that is just about to wait for a lock may not hear of the first.
CTRL_C = """
    import os, signal, sys, threading
    from bluesky.utils import Msg, RunEngineInterrupted
    from freewheel import BlockingRunEngine

    left = [KeyboardInterrupt] * {interrupts}

    def handler(*_):
        if left:
            raise left.pop()

    signal.signal(signal.SIGINT, handler)
    main, over, never = threading.get_ident(), threading.Event(), threading.Event()

    def hit():
        while not over.wait(0.2):
            signal.pthread_kill(main, signal.SIGINT)

    RE = BlockingRunEngine({managers})

    def plan():
        yield Msg("checkpoint")
        threading.Thread(target=hit).start()
        {message}
        yield Msg("checkpoint")
        yield Msg("sleep", None, 600)

    try:
        RE(plan())
    except RunEngineInterrupted as error:
        print(RE.state, error, flush=True)
    os._exit(0)
"""


@pytest.mark.parametrize(
    ("interrupts", "managers", "message", "says"),
    [
        ("0", "", "yield Msg('sleep', None, 0.1)", "paused The plan 'plan' was paused"),
        ("1", "context_managers=[]", "yield Msg('null')", "idle The plan 'plan' was halted"),
        ("1", "context_managers=[]", "never.wait()", "panicked The plan 'plan', or a document"),
    ],
)
def test_ctrl_c_always_gives_the_prompt_back(
    interrupts: str, managers: str, message: str, says: str
) -> None:
    script = CTRL_C.replace("{interrupts}", interrupts).replace("{managers}", managers)
    answer = run_script(script.replace("{message}", message))
    assert says in answer.stdout, answer


# -- the waiting view -------------------------------------------------------------------------


def test_the_view_is_the_same_engine(RE: Any) -> None:
    view = RE.blocking
    assert isinstance(view, bluesky.run_engine.RunEngine)
    assert isinstance(view, BlockingRunEngine)
    assert is_engine(view)
    view.md["sample"] = "opal"
    seen: list[Any] = []
    view.msg_hook = seen.append
    assert RE.md["sample"] == "opal"
    assert view(quick(3)).plan_result == 3
    assert RE(quick(4)).result(T).plan_result == 4
    assert len(seen) == 2
    assert RE.context_managers == []  # the engine itself installs no handlers


def test_the_view_waits_and_the_engine_does_not(RE: Any) -> None:
    view = RE.blocking
    future = RE([Msg("checkpoint"), Msg("pause"), Msg("null")])
    with pytest.raises(RunEngineInterrupted):
        future.result(T)
    assert view.state == "paused"
    with pytest.raises(RuntimeError, match="paused state"):
        view(quick())
    assert view.resume().exit_status == "success"
    assert future.outcome.result(T).exit_status == "success"


# -- a program that takes the future for the result --------------------------------------------


@pytest.mark.parametrize("host", ["bluesky_queueserver.manager.worker", "blueapi.worker.task"])
def test_a_host_that_expects_waiting_is_refused_before_anything_starts(RE: Any, host: str) -> None:
    module = types.ModuleType(host)
    exec("def run(engine, plan): return engine(plan)", vars(module))
    ran: list[Any] = []
    RE.msg_hook = ran.append
    with pytest.raises(TypeError, match=r"(?s)Nothing was started.*RE\.blocking"):
        module.run(RE, quick())
    assert RE.state == "idle"
    assert module.run(RE.blocking, quick(1)).plan_result == 1
    assert len(ran) == 1


def test_a_future_that_is_pickled_says_what_to_do(RE: Any) -> None:
    future = RE(quick())
    with pytest.raises(TypeError, match=r"plan 'quick'.*cannot be pickled.*RE\.blocking"):
        pickle.dumps(future)
    future.result(T)


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="needs masks of signals")
def test_a_signal_that_does_not_wake_the_thread_that_waits_is_heard(bre: Any) -> None:
    begun, heard = threading.Event(), threading.Event()
    found: list[bool] = []

    async def listen() -> None:
        begun.set()
        found.append(await asyncio.to_thread(heard.wait, T))

    def send() -> None:
        begun.wait(T)
        os.kill(os.getpid(), signal.SIGUSR1)

    sender = threading.Thread(target=send)
    sender.start()  # before the mask, which it would have, too
    before = signal.signal(signal.SIGUSR1, lambda *_: heard.set())
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    try:
        bre([Msg("wait_for", None, [listen])])
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR1})
        signal.signal(signal.SIGUSR1, before)
        sender.join(T)
    assert found == [True]
