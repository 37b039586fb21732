"""A person at a real screen: an X server, and a program driven with mouse and keyboard."""

import json
import os
import select
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

#: Why nobody can sit there; empty if a person can.
WHY_NOT = "" if shutil.which("Xvfb") and shutil.which("xdotool") else "needs Xvfb and xdotool here"
# Longer than anything takes, shorter than what ends the test without a word.
_PATIENCE = 90.0


@contextmanager
def screen(size: str = "1500x950") -> Iterator[str]:
    """Run an X server, and give the name of its display."""
    reader, writer = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(writer), "-screen", "0", f"{size}x24", "-nolisten", "tcp"],
        pass_fds=[writer],
        stderr=subprocess.DEVNULL,
    )
    os.close(writer)
    try:
        with os.fdopen(reader) as told:
            number = told.readline().strip()
        yield f":{number}"
    finally:
        server.terminate()
        server.wait(10)


class Person:
    """Looks at what a program says of its window, and moves mouse and keyboard.

    The program answers a line of JSON on its input, an expression, with its value, a line of JSON
    on its output, as soon as that is true.
    """

    def __init__(self, display: str, program: Path, *arguments: object) -> None:
        self._env = {
            **os.environ,
            "DISPLAY": display,
            "QT_QPA_PLATFORM": "xcb",
            "PYTHONFAULTHANDLER": "1",
        }
        self.process = subprocess.Popen(
            [sys.executable, str(program), *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=self._env,
        )

    def __enter__(self) -> "Person":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def see(self, expression: str) -> Any:
        """Wait until an expression is true, and return its value."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(expression) + "\n")
        self.process.stdin.flush()
        return self._hear(expression)

    def know(self, expression: str) -> Any:
        """Return what an expression is now, true or not."""
        return self.see(f"[{expression}]")[0]

    def _hear(self, expression: str) -> Any:
        output = self.process.stdout
        assert output is not None
        ready, _, _ = select.select([output], [], [], _PATIENCE)
        assert ready, f"this never came: {expression}"
        line = output.readline()
        assert line, f"the window is gone; what was waited for is: {expression}"
        return json.loads(line)

    def see_it_close(self) -> None:
        """Wait until the program says that its window is closed, and has ended."""
        assert self._hear("the window closes") == "closed"
        assert self.process.wait(30) == 0

    def do(self, *arguments: object) -> None:
        """Move mouse or keyboard."""
        subprocess.run(["xdotool", *map(str, arguments)], env=self._env, check=True, timeout=10)

    def keys(self, *keys: str) -> None:
        """Press keys, one after the other."""
        self.do("key", *keys)

    def type(self, text: str) -> None:
        """Type a text in the place of what is there."""
        self.do("key", "ctrl+a")
        self.do("type", text)

    def go_to(self, window: str = "window") -> None:
        """Have a window take the keyboard, as whatever manages windows does elsewhere."""
        self.do("windowfocus", self.see(f"{window} and int({window}.winId())"))
        self.see(f"{window}.isActiveWindow()")

    def click_at(self, place: str, times: int = 1) -> None:
        """Click on what an expression says is the place."""
        x, y = self.see(place)
        self.do("mousemove", x, y, "click", "--repeat", times, "--delay", 40, 1)

    def click(self, *names: str, **options: Any) -> None:
        """Click on a part of the window, when it can be used."""
        self.click_at(f"at(*{names!r}, **{options!r})")

    def wheel(self, *names: str, down: bool = True) -> None:
        """Turn the wheel over a part of the window, three notches."""
        x, y = self.see(f"at(*{names!r})")
        self.do("mousemove", x, y, "click", "--repeat", 3, 5 if down else 4)

    def drag(self, begin: str, end: str) -> None:
        """Drag from one place to another, and let go."""
        self.take(begin, end)
        self.do("mouseup", 1)

    def take(self, begin: str, end: str) -> None:
        """Take something from one place to another, as a hand does: not in one leap."""
        (x, y), (to_x, to_y) = self.see(begin), self.see(end)
        self.do("mousemove", x, y, "mousedown", 1)
        for part in range(1, 11):
            self.do("mousemove", x + (to_x - x) * part // 10, y + (to_y - y) * part // 10)
            self.see("1")  # it has seen that

    def answer(self, question: str, text: str) -> None:
        """Press the button of a question."""
        self.click_at(f"answer({question!r}, {text!r})")
