"""A process that has imported what most pages do, and forks for each of their programs.

Each program has a process of its own, without importing bluesky and ophyd once more, which would
take longer than most programs. `python nursery.py` reads a line of JSON for each: the folder, the
program, its cells and the files for what it prints; and answers with its exit code.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from types import TracebackType
from typing import IO, Self

PATIENCE = 100  # seconds
# All without a thread: a fork has the one that forks alone.
IMPORTS = (
    "bluesky.callbacks.best_effort",
    "bluesky.plans",
    "bluesky.suspenders",
    "freewheel.forms",
    "freewheel.plans",
    "freewheel.previews",
    "freewheel.recording",
    "freewheel.sim._file_camera",
    "freewheel.sim._flyers",
    "freewheel.testing",
    "ophyd.sim",
)


class Nursery:
    """The tests' side of it.

    Parameters
    ----------
    environment : dict
        Of the process, and so of the programs.
    """

    def __init__(self, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**environment, "OPENBLAS_NUM_THREADS": "1"},
        )

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the process."""
        self._stream(self._process.stdin).close()
        self._stream(self._process.stdout).close()
        self._process.wait()

    @staticmethod
    def _stream(stream: IO[str] | None) -> IO[str]:
        assert stream is not None
        return stream

    def run(self, folder: Path, program: Path, cells: Path) -> tuple[int, str, str]:
        """Run a program in a folder; return its exit code, and what it wrote to both outputs."""
        files = [folder / name for name in ("stdout.txt", "stderr.txt")]
        request = json.dumps([str(each) for each in (folder, program, cells, *files)])
        asked = self._stream(self._process.stdin)
        asked.write(request + "\n")
        asked.flush()
        answer = self._stream(self._process.stdout).readline()
        assert answer, "the nursery has ended"
        return int(answer), files[0].read_text(), files[1].read_text()


def grow(request: list[str]) -> None:
    """Run a program, in a process that was made for it."""
    from run_page import run_page

    folder, program, cells, *outputs = request
    signal.alarm(PATIENCE)  # ends it
    for number, output in enumerate(outputs, 1):
        with open(output, "wb") as file:
            os.dup2(file.fileno(), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.environ["TMPDIR"] = folder
    tempfile.tempdir = None
    os.chdir(folder)
    sys.argv = [program]
    run_page(program, cells)


def main() -> None:
    """Fork for each line."""
    for name in IMPORTS:
        __import__(name)
    assert threading.active_count() == 1, threading.enumerate()
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            grow(json.loads(line))
            return  # ends as any program does: threads are waited for, exit functions run
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
