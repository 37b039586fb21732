"""How a process ends while a plan runs: with its clean-up, its stop document and its exit code.

Each case is a process of its own, which writes its documents and what its plan and its device
do to a file, line by line, as they come.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import IO, TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

LIMIT = 60  # seconds; a process that hangs fails the test

PRELUDE = """
    import asyncio, os, signal, sys, threading
    from pathlib import Path
    from bluesky.utils import Msg
    from ophyd_async.core import AsyncStatus
    from freewheel import BlockingRunEngine, RunEngine

    log = open(sys.argv[1], "a", buffering=1)

    def note(*words):
        log.write(" ".join(map(str, words)) + "\\n")

    class Device:
        name = "device"
        parent = None

        def stage(self):
            return [self]

        @AsyncStatus.wrap
        async def unstage(self):
            await asyncio.sleep(0.05)
            await asyncio.to_thread(note, "unstaged")

    def plan(hang=False, messages=None):
        try:
            yield Msg("open_run")
            yield Msg("stage", device)
            yield Msg("checkpoint")
            note("running")
            yield Msg("sleep", None, 600)
            yield Msg("close_run")
        finally:
            note("cleaning")
            yield Msg("sleep", None, 600 if hang else 0.05)
            note("cleaned")

    device = Device()
    running = threading.Event()

    def subscriber(name, doc):
        note(name, doc.get("exit_status", ""), doc.get("reason", ""))

    RE = RunEngine()
    RE.subscribe(subscriber)

    def until_it_runs():
        while "running" not in Path(sys.argv[1]).read_text():
            threading.Event().wait(0.01)  # the script's own business: nothing is tested here

    def start(**kwargs):
        future = RE(plan(**kwargs))
        until_it_runs()
        print("running", flush=True)
        return future
"""


class Ended:
    """What is left of a process."""

    def __init__(self, process: subprocess.Popen[str], path: Path) -> None:
        self.stdout, self.stderr = process.communicate(timeout=LIMIT)
        self.code = process.returncode
        self.notes = path.read_text().splitlines() if path.exists() else []

    def starts_with(self, word: str) -> list[str]:
        return [line for line in self.notes if line.split(" ")[0] == word]


Start = "Callable[[str], tuple[subprocess.Popen[str], Path]]"


@pytest.fixture
def start(tmp_path: Path) -> Callable[[str], tuple[subprocess.Popen[str], Path]]:
    """A function that starts a script after the prelude."""
    processes: list[subprocess.Popen[str]] = []

    def start(script: str) -> tuple[subprocess.Popen[str], Path]:
        path = tmp_path / "notes.txt"
        path.touch()
        source = textwrap.dedent(PRELUDE) + textwrap.dedent(script)
        process = subprocess.Popen(
            [sys.executable, "-c", source, str(path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        return process, path

    yield start
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.communicate()


def assert_clean(ended: Ended) -> None:
    """Assert that the plan cleaned up, the device was unstaged and the run was closed."""
    assert ended.starts_with("cleaned"), ended.stderr
    assert ended.starts_with("unstaged"), ended.stderr
    stops = ended.starts_with("stop")
    assert len(stops) == 1, (ended.notes, ended.stderr)
    assert stops[0].startswith("stop abort")
    assert ended.notes.index(stops[0]) > ended.notes.index("cleaned")


@pytest.mark.parametrize(
    ("ending", "code"),
    [
        ("pass", 0),
        ("sys.exit()", 0),
        ("sys.exit(3)", 3),
        ("sys.exit('a message')", 1),
        ("raise SystemExit(4)", 4),
        ("raise ValueError('in main')", 1),
    ],
)
def test_the_main_thread_ends(start: Start, ending: str, code: int) -> None:
    ended = Ended(*start(f"future = start()\n{ending}\n"))
    assert ended.code == code, ended.stderr
    assert_clean(ended)
    assert ("ValueError: in main" in ended.stderr) == ("ValueError" in ending)


def test_the_main_thread_ends_while_a_plan_is_paused(start: Start) -> None:
    ended = Ended(*start("start()\nRE.request_pause().result(10)\nsys.exit(3)\n"))
    assert ended.code == 3, ended.stderr
    assert_clean(ended)


def test_an_idle_engine_keeps_no_process_alive(start: Start) -> None:
    ended = Ended(*start("RE([Msg('null')]).result(10)\n"))
    assert ended.code == 0
    assert ended.stderr == ""


def test_a_plan_that_was_just_called_is_not_lost_in_silence(start: Start) -> None:
    """The process ends before the plan's first message: what was begun is ended, no more."""
    ended = Ended(*start("RE(plan())\n"))
    assert ended.code == 0
    assert len(ended.starts_with("start")) == len(ended.starts_with("stop"))


def test_queued_plans_do_not_start_while_the_process_ends(start: Start) -> None:
    ended = Ended(*start("start()\nRE(plan())\nRE(plan())\n"))
    assert ended.code == 0
    assert_clean(ended)
    assert len(ended.starts_with("start")) == 1


@pytest.mark.servers  # for ten seconds are waited
def test_a_clean_up_that_hangs_does_not_keep_the_process(start: Start) -> None:
    ended = Ended(*start("start(hang=True)\nsys.exit(5)\n"))
    assert ended.code == 5
    assert ended.starts_with("cleaning")
    assert len(ended.starts_with("stop")) == 1


def test_two_engines_both_clean_up(start: Start) -> None:
    script = """
        start()
        one, RE = RE, RunEngine()
        RE.subscribe(subscriber)
        started = threading.Event()
        RE.subscribe(lambda name, doc: started.set(), "start")
        RE(plan())
        started.wait(10)
    """
    ended = Ended(*start(script))
    assert ended.code == 0, ended.stderr
    assert len(ended.starts_with("start")) == len(ended.starts_with("stop")) == 2


@pytest.mark.parametrize(("last", "code"), [("pass", 0), ("sys.exit(3)", 3), ("1 / 0", 1)])
def test_background_tasks_clean_up_too(start: Start, last: str, code: int) -> None:
    script = f"""
        from freewheel.plan_stubs import background

        started = threading.Semaphore(0)

        def task(name):
            mine = Device()
            mine.name = name
            yield Msg("stage", mine)
            yield Msg("open_run")
            started.release()
            yield Msg("sleep", None, 600)

        def parent():
            yield from background(task("owned"))
            yield from task("parent")

        RE.background.launch(task("launched"))
        RE(parent())
        for _ in range(3):
            started.acquire()
        {last}
    """
    ended = Ended(*start(script))
    assert ended.code == code, ended.stderr
    assert len(ended.starts_with("start")) == len(ended.starts_with("stop")) == 3
    assert ended.starts_with("unstaged") == ["unstaged"] * 3


def test_a_queued_subscriber_gets_the_stop_document_too(start: Start) -> None:
    script = """
        RE.subscribe(lambda name, doc: note("queued", name), delivery="queued")
        start()
    """
    ended = Ended(*start(script))
    assert ended.code == 0
    assert ended.starts_with("queued") == ["queued start", "queued stop"]


def wait_until_it_runs(process: subprocess.Popen[str]) -> None:
    stdout: IO[str] | None = process.stdout
    assert stdout is not None
    assert stdout.readline().strip() == "running"


@pytest.mark.parametrize("waits_in", ["future.result()", "threading.Event().wait()"])
def test_ctrl_c_in_a_program_that_does_not_catch_it(start: Start, waits_in: str) -> None:
    process, path = start(f"future = start()\n{waits_in}\n")
    wait_until_it_runs(process)
    process.send_signal(signal.SIGINT)
    ended = Ended(process, path)
    assert ended.code == -signal.SIGINT  # as any program that dies of Ctrl-C
    assert "KeyboardInterrupt" in ended.stderr
    assert_clean(ended)


def test_ctrl_c_that_is_caught_leaves_the_plan_running(start: Start) -> None:
    script = """
        try:
            start().result()
        except KeyboardInterrupt:
            note("caught", RE.state)
        RE.stop().result(10)
        note("stopped")
        sys.exit(130)
    """
    process, path = start(script)
    wait_until_it_runs(process)
    process.send_signal(signal.SIGINT)
    ended = Ended(process, path)
    assert ended.code == 130
    assert "caught running" in ended.notes
    assert "stopped" in ended.notes
    assert ended.starts_with("stop")[0].startswith("stop success")


def test_sigterm_with_its_default_handler_kills_as_ever(start: Start) -> None:
    """No handler of ours: the process dies at once, and what was written is on disk."""
    process, path = start("start()\nthreading.Event().wait()\n")
    wait_until_it_runs(process)
    process.send_signal(signal.SIGTERM)
    ended = Ended(process, path)
    assert ended.code == -signal.SIGTERM
    assert ended.starts_with("start")


def test_sigterm_that_becomes_sys_exit_cleans_up(start: Start) -> None:
    script = """
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        start()
        threading.Event().wait()
    """
    process, path = start(script)
    wait_until_it_runs(process)
    process.send_signal(signal.SIGTERM)
    ended = Ended(process, path)
    assert ended.code == 143
    assert_clean(ended)


def test_an_exception_inside_a_with_block_cleans_up_before_it_shows(start: Start) -> None:
    script = """
        with RE:
            start()
            raise ValueError("in the block")
    """
    ended = Ended(*start(script))
    assert ended.code == 1
    assert "in the block" in ended.stderr
    assert_clean(ended)


def test_an_engine_of_an_asyncio_program(start: Start) -> None:
    script = """
        async def main():
            future = RE(plan())
            await asyncio.to_thread(until_it_runs)
            await asyncio.wait_for(asyncio.shield(future), 0.1)

        asyncio.run(main())
    """
    ended = Ended(*start(script))
    assert ended.code == 1
    assert "TimeoutError" in ended.stderr
    assert_clean(ended)
