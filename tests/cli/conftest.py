"""The command ``freewheel`` as a process."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from freewheel.cli import main

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATIENCE = 60.0
# Wide enough for no message to be broken into lines; and one attempt to reach a server is enough.
ENVIRONMENT = {"COLUMNS": "400", "TERM": "dumb", "TILED_RETRY_ATTEMPTS": "1"}


class Command:
    """Runs ``freewheel`` in a folder of its own.

    Parameters
    ----------
    folder : Path
        The working directory.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._environment = {**os.environ, **ENVIRONMENT}
        self._started: list[subprocess.Popen[str]] = []

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run it to its end."""
        return subprocess.run(
            [sys.executable, "-m", "freewheel", *arguments],
            cwd=self._folder,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start it; it is killed at the end of the test if it still runs."""
        process = subprocess.Popen(
            [sys.executable, "-m", "freewheel", *arguments],
            cwd=self._folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._started.append(process)
        return process

    @staticmethod
    def read_until(process: subprocess.Popen[str], text: str) -> str:
        """Read the process's output up to the first line with ``text``; return that line."""
        assert process.stdout is not None
        seen = []
        for line in process.stdout:
            if text in line:
                return line
            seen.append(line)
        assert process.stderr is not None
        pytest.fail(f"{text!r} was never written, but {seen} and\n{process.stderr.read()}")

    def end(self) -> None:
        """Kill what still runs."""
        for process in self._started:
            with process:  # closes its pipes and waits
                process.kill()


class Within:
    """Runs ``freewheel`` within this process, as `Command.run` does: quicker by the imports."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run it to its end."""
        self._capsys.readouterr()
        code = main(arguments)
        out, err = self._capsys.readouterr()
        return subprocess.CompletedProcess(arguments, code, out, err)


@pytest.fixture
def within(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Within:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])  # which a file's folder is added to
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    return Within(capsys)


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Command]:
    made = Command(tmp_path)
    yield made
    made.end()
