"""Window and prompt, while an IOC dies in the middle of a run and comes back."""

# ruff: noqa: N803

from __future__ import annotations

import importlib.util
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bluesky.plan_stubs as bps
import pytest
from bluesky.preprocessors import run_decorator
from ophyd_async.epics.core import epics_signal_rw
from qtpy.QtWidgets import QLabel

from freewheel.forms import find_plans
from freewheel.qt import AcquisitionWindow, connect_devices
from freewheel.testing import IocProcess

pytestmark = pytest.mark.servers  # IOCs and device servers are processes of their own

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from freewheel import RunEngine

PATIENCE = 60.0
SERVER = Path(__file__).parent / "servers" / "soft_ioc.py"
TERMINAL = Path(__file__).parents[1] / "ipython" / "_terminal.py"


@pytest.fixture
def ioc() -> Iterator[IocProcess]:
    with IocProcess(SERVER, ready="FW is up") as server:
        yield server


@pytest.fixture
def soon(qtbot: Any) -> Callable[[Callable[[], Any]], None]:
    """Wait, with the window alive, until something is true."""
    return lambda condition: qtbot.waitUntil(
        lambda: bool(condition()), timeout=int(1000 * PATIENCE)
    )


@pytest.fixture
def open_window(RE: RunEngine, ioc: IocProcess, qtbot: Any, soon: Any) -> Any:
    def opened(plan: Any, device: Any) -> Any:
        window = AcquisitionWindow(
            RE,
            connect_devices(RE, {device.name: device}, 10.0),
            lambda connected: find_plans([plan], connected),
        )
        qtbot.addWidget(window, before_close_func=lambda w: w.bridge.close())
        window.show()
        soon(lambda: not window.is_connecting and device.name in window.devices.rows)
        window.chooser.choose(plan.__name__)
        return window

    return opened


def kill_at_third_event(RE: RunEngine, ioc: IocProcess) -> threading.Event:
    """Return what is set when it is killed."""
    killed = threading.Event()

    def kill(name: str, doc: Any) -> None:
        if name == "event" and doc["seq_num"] == 3:
            RE.unsubscribe(token)
            ioc.kill()
            killed.set()

    token = RE.subscribe(kill)
    return killed


async def answers(signal: Any) -> None:
    """Wait until a signal's server is back; the libraries look for it more and more rarely."""
    while True:
        try:
            await signal.get_value(cached=False)
        except Exception as error:
            if "FW:" not in f"{error} {error.__cause__}" and not isinstance(error, TimeoutError):
                raise
        else:
            return


@pytest.mark.leaks("aioca keeps its thread, for the module's engine")
def test_the_window_names_the_device_and_goes_on_when_it_is_back(
    RE: RunEngine, ioc: IocProcess, open_window: Any, soon: Any, on_loop: Any
) -> None:
    x = epics_signal_rw(float, "ca://FW:X", name="x", timeout=1.0)

    @run_decorator()
    def walk() -> Any:
        for place in range(20):
            yield from bps.checkpoint()
            yield from bps.mv(x, place)
            yield from bps.trigger_and_read([x])

    window = open_window(walk, x)
    kill_at_third_event(RE, ioc)
    window.controls.run()
    soon(lambda: "walk failed" in window.log.text)
    failure = window.log.text[window.log.text.index("walk failed") :]
    assert "FW:X" in failure or "of 'x')" in failure
    assert RE.state == "idle"
    # The same window, the same device: nobody connects anything again.
    ioc.start()
    on_loop(answers(x))
    window.controls.run()
    soon(lambda: "walk completed" in window.log.text)
    labels = window.devices.rows["x"].findChildren(QLabel)
    soon(lambda: any("19" in label.text() for label in labels))


@pytest.mark.leaks("aioca keeps its thread, for the module's engine")
def test_a_window_whose_plan_waits_for_the_ioc(
    RE: RunEngine, ioc: IocProcess, open_window: Any, soon: Any
) -> None:
    y = epics_signal_rw(float, "pva://FW:Y", name="y", timeout=PATIENCE)

    @run_decorator()
    def look() -> Any:
        for value in range(6):
            yield from bps.mv(y, value)  # a reading would be the panel's, which watches it
            yield from bps.trigger_and_read([y])

    window = open_window(look, y)
    killed = kill_at_third_event(RE, ioc)
    window.controls.run()
    soon(killed.is_set)
    assert RE.state == "running", window.log.text
    assert "failed" not in window.log.text
    ioc.start()
    soon(lambda: "look completed" in window.log.text)


PROGRAM = """
import bluesky.plan_stubs as bps
from bluesky.preprocessors import run_decorator
from freewheel import RunEngine
from ophyd_async.epics.core import epics_signal_rw

RE = RunEngine()
x = epics_signal_rw(float, "pva://FW:X", name="x", timeout=1.0)
RE(bps.wait_for([x.connect])).result(60)
token = RE.subscribe(
    lambda name, doc: print("event", doc["seq_num"], "is there") if name == "event" else None
)


@run_decorator()
def walk(until):
    for place in range(until):
        yield from bps.checkpoint()
        yield from bps.mv(x, place)
        yield from bps.trigger_and_read([x])
        yield from bps.sleep(0.1)


async def answers():
    while True:
        try:
            return await x.get_value(cached=False)
        except Exception:
            pass
"""


@pytest.fixture
def prompt(ioc: IocProcess, tmp_path: Path) -> Iterator[Any]:
    pytest.importorskip("pexpect")
    pytest.importorskip("pyte")
    spec = importlib.util.spec_from_file_location("freewheel_tests_ioc_terminal", TERMINAL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    terminal = module.Terminal(
        ["-m", "IPython", "--no-banner", "--no-confirm-exit", "--colors=nocolor"], tmp_path
    )
    program = tmp_path / "bench.py"
    program.write_text(PROGRAM)
    terminal.run("%load_ext freewheel")
    terminal.start(f"%run {program}")
    terminal.wait(rf"In \[{terminal.cells + 1}\]:", PATIENCE)
    yield terminal
    terminal.child.close(force=True)


def test_the_prompt_names_the_device_and_goes_on_when_it_is_back(
    ioc: IocProcess, prompt: Any
) -> None:
    prompt.run("f = RE(walk(1000))")
    prompt.wait("event 3 is there", PATIENCE)
    ioc.kill()
    prompt.wait(r"\[walk\] failed after", PATIENCE)
    prompt.run("print(f.exception(), f.exception().__cause__)", r"FW:X|of 'x'\)")
    ioc.start()
    prompt.run("RE.unsubscribe(token)")
    prompt.start("back = RE(bps.wait_for([answers])).result(60)")
    prompt.wait(rf"In \[{prompt.cells + 1}\]:", PATIENCE)
    prompt.run("len(RE(walk(3)).result(60).run_start_uids)", r"1")
    prompt.run("RE(bps.rd(x)).result(60).plan_result", r"2\.0")
