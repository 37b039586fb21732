"""A real window under an X server, driven with mouse and keyboard."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(
    not (shutil.which("Xvfb") and shutil.which("xdotool")),
    reason="needs Xvfb and xdotool on this machine",
)


@pytest.fixture(name="display")
def _display() -> Iterator[str]:
    reader, writer = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(writer), "-screen", "0", "1500x950x24", "-nolisten", "tcp"],
        pass_fds=[writer],
        stderr=subprocess.DEVNULL,
    )
    os.close(writer)
    with os.fdopen(reader) as told:
        number = told.readline().strip()
    yield f":{number}"
    server.terminate()
    server.wait(10)


class Driver:
    """A person at the screen: looks at what the window says, and moves mouse and keyboard."""

    def __init__(self, display: str) -> None:
        self._env = {
            **os.environ,
            "DISPLAY": display,
            "QT_QPA_PLATFORM": "xcb",
            "PYTHONFAULTHANDLER": "1",
        }
        program = Path(__file__).with_name("driven_window.py")
        self.process = subprocess.Popen(
            [sys.executable, str(program)], stdout=subprocess.PIPE, text=True, env=self._env
        )
        self.seen: dict[str, Any] = {"places": {}}

    def wait(self, condition: Callable[[dict[str, Any]], Any]) -> None:
        assert self.process.stdout is not None
        while not condition(self.seen):
            line = self.process.stdout.readline()
            assert line, f"the window is gone; it last said {self.seen}"
            self.seen = json.loads(line)

    def do(self, *arguments: object) -> None:
        subprocess.run(["xdotool", *map(str, arguments)], env=self._env, check=True, timeout=10)

    def click(self, name: str, *, at: tuple[int, int] = (0, 0)) -> None:
        self.wait(lambda seen: name in seen["places"])
        x, y = self.seen["places"][name]
        self.do("mousemove", x + at[0], y + at[1], "click", 1)


def test_a_session_at_the_microscope(display: str) -> None:
    person = Driver(display)
    try:
        person.click("detectors")  # gives it the keyboard
        person.do("key", "Home", "space")
        person.wait(lambda seen: seen["detectors"] == ["camera"])
        person.click("run")
        person.wait(lambda seen: seen["shown"] and "running" in seen["live"])
        person.click("action:snap")
        person.wait(lambda seen: seen["snapshots"] == 1)
        person.click("live:pause")
        person.wait(lambda seen: "paused" in seen["live"])
        person.click("live:pause")
        person.wait(lambda seen: "running" in seen["live"])
        person.click("exposure")
        person.do("key", "ctrl+a")
        person.do("type", "0.02")
        person.do("key", "Return")
        person.wait(lambda seen: seen["exposure"] == "0.02")

        person.click("plans")
        person.do("key", "Down", "Return")
        person.wait(lambda seen: seen["plan"] == "scan")
        person.click("detectors")
        person.do("key", "Home", "space")
        person.wait(lambda seen: seen["detectors"] == ["camera"])
        person.click("run")
        person.wait(lambda seen: "gives way to scan" in seen["live"])
        person.click("pause")
        person.wait(lambda seen: seen["state"] == "paused")
        person.click("resume")
        person.wait(lambda seen: any("scan completed" in line for line in seen["log"]))
        person.wait(lambda seen: "running" in seen["live"])

        person.click("live:cancel")
        person.wait(lambda seen: not seen["live"])
        person.click("run")
        person.wait(lambda seen: seen["state"] == "running")
        person.do("key", "ctrl+q")
        person.click("yes")
        person.wait(lambda seen: seen["state"] == "closed")
        assert person.process.wait(30) == 0
    finally:
        person.process.kill()
        person.process.communicate()
