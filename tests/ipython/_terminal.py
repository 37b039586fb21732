"""A real IPython on a pseudo-terminal, and what its screen shows."""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from typing import TYPE_CHECKING, Any

import pexpect
import pyte

if TYPE_CHECKING:
    from pathlib import Path

COLUMNS, LINES = 110, 60
PATIENCE = 60.0


class Terminal:
    """A child on a pseudo-terminal; waits for what its screen shows, and never sleeps."""

    def __init__(self, arguments: list[str], home: Path, **environment: str) -> None:
        env = {
            **os.environ,
            "IPYTHONDIR": str(home),
            "TERM": "linux",
            "PROMPT_TOOLKIT_NO_CPR": "1",
            "COLUMNS": str(COLUMNS),
            "LINES": str(LINES),
            **environment,
        }
        self.child = pexpect.spawn(
            sys.executable, arguments, env=env, timeout=PATIENCE, dimensions=(LINES, COLUMNS)
        )
        self.screen = pyte.HistoryScreen(COLUMNS, LINES, history=2000)
        self._stream = pyte.ByteStream(self.screen)
        self.raw = b""
        self.cells = 0

    def lines(self) -> list[str]:
        """The lines of the screen, and those that were scrolled out of it."""
        history = [
            "".join(line[x].data for x in range(COLUMNS)).rstrip()
            for line in self.screen.history.top
        ]
        return history + [line.rstrip() for line in self.screen.display]

    def text(self) -> str:
        return "\n".join(self.lines())

    def read(self, until: float) -> bool:
        """Take what has been written; false at the end of the child or of the time."""
        try:
            data = self.child.read_nonblocking(65536, max(0.01, until - time.monotonic()))
        except (pexpect.TIMEOUT, pexpect.EOF):
            return False
        self.raw += data
        self._stream.feed(data)
        return True

    def since_the_cell(self) -> str:
        """What the screen shows from the input of the last cell that was started."""
        text = self.text()
        return text[max(0, text.rfind(f"In [{self.cells}]:")) :]

    def wait(self, pattern: str, patience: float = PATIENCE) -> re.Match[str]:
        """Wait until the screen shows ``pattern``, after the input of the last cell.

        What earlier cells have left on the screen does not count: a test that went on for it would
        be ahead of the child, and of two Ctrl-C that it sends at once the child sees but one.
        """
        until = time.monotonic() + patience
        while True:
            if match := re.search(pattern, self.since_the_cell(), re.MULTILINE):
                return match
            if not self.read(until):
                shown = "\n".join(line for line in self.lines() if line)
                raise AssertionError(f"{pattern!r} was never shown; the screen:\n{shown}")

    def prompt(self) -> None:
        """Wait for the prompt of the next cell."""
        self.wait(rf"In \[{self.cells + 1}\]:")

    def send(self, text: str) -> None:
        self.child.send(text)

    def paste(self, text: str) -> None:
        """Paste, as terminals do: without automatic indentation."""
        self.send(f"\x1b[200~{text}\x1b[201~")

    def start(self, cell: str) -> None:
        """Type a cell and have it run."""
        self.prompt()
        self.cells += 1
        self.paste(cell)
        self.send("\r")

    def run(self, cell: str, *shown: str) -> str:
        """Run a cell to its end; return what stands between its input and the next prompt."""
        self.start(cell)
        self.prompt()
        text = self.output(self.cells)
        for pattern in shown:
            assert re.search(pattern, text), f"{pattern!r} is not in:\n{text}"
        return text

    def output(self, cell: int) -> str:
        """What the screen shows from the input of a cell to the next prompt."""
        text = self.text()
        begin = text.rindex(f"In [{cell}]:")
        end = text.find(f"In [{cell + 1}]:", begin)
        return text[begin : end if end >= 0 else None]

    def interrupt(self) -> None:
        self.child.sendintr()

    def end(self) -> int | None:
        """Wait for the child's end; return its exit status, negative for a signal."""
        until = time.monotonic() + PATIENCE
        while self.read(until):
            pass
        self.child.expect(pexpect.EOF)
        self.child.wait()  # `close` would send signals to one that is still on its way out
        self.child.close()
        if self.child.signalstatus is not None:
            return -int(self.child.signalstatus)
        status: Any = self.child.exitstatus
        return None if status is None else int(status)

    def discard(self) -> None:
        """End the child, whatever it does; `close` gives up on one that takes over 0.1 s."""
        if self.child.closed:
            return
        if self.child.isalive():
            self.child.kill(signal.SIGKILL)
            self.child.wait()
        self.child.close()
