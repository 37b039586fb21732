"""Real EPICS IOCs for tests, as processes of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections import deque
from typing import TYPE_CHECKING, Final, final

from ._local_epics import give_back, take_ports

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["IocProcess"]

#: Reads until whoever has started it is gone, and ends a group of processes then.
_GUARD: Final = ("/bin/sh", "-c", 'while read -r _; do :; done; kill -9 "-$1"', "freewheel-guard")


@final
class IocProcess:
    """An IOC, or another server, as a process that can be killed and started again.

    It ends with the process that has started it, even if that is killed, and its ports are free
    again. They are among those of `local_epics`: each server of a process of tests has its own, and
    up to eight run at a time.

    Parameters
    ----------
    command : path or sequence of str
        A Python file, or what to run. It must print `ready` when its PVs can be had.
    ready : str
        Part of the line that says that it is up.
    timeout : float
        How long it may take to come up [s].
    environment : mapping of str to str, optional
        Further variables.

    Attributes
    ----------
    output : collections.deque of str
        The newest lines that it printed.

    Examples
    --------
    >>> with IocProcess("my_ioc.py", ready="iocInit") as ioc:
    ...     RE(scan([detector], motor, 0, 1, 5)).result()
    ...     ioc.kill()  # as if somebody pulled the plug
    ...     ioc.start()
    """

    def __init__(
        self,
        command: str | Path | Sequence[str],
        *,
        ready: str,
        timeout: float = 20.0,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        if isinstance(command, (str, os.PathLike)):
            self._command = [sys.executable, "-u", os.fspath(command)]
        else:
            self._command = [str(part) for part in command]
        self._ready = ready
        self._timeout = timeout
        self._further = dict(environment or {})
        self.output: deque[str] = deque(maxlen=200)  # filled by the reading thread
        self._process: subprocess.Popen[str] | None = None
        self._ports: int | None = None
        self._guard: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None
        self._is_ready = False  # set by the reading thread, before _up
        self._up = threading.Event()  # set when it is ready, or has ended

    @property
    def is_running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it, and wait until it is up.

        Raises
        ------
        RuntimeError
            When it ends, or does not come up in time; with what it printed. When too many run.
        """
        if self.is_running:
            return
        self.kill()  # what is left of one that has ended by itself
        self._up.clear()
        self._is_ready = False
        self._ports, environment = take_ports()
        try:
            self._process = self._popen(environment)
        except OSError:  # there is no such command
            self.kill()
            raise
        self._guard = subprocess.Popen(
            [*_GUARD, str(self._process.pid)],
            stdin=subprocess.PIPE,  # which the system closes with this process
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is not meant for it
        )
        self._reader = threading.Thread(target=self._read, name="ioc-output", daemon=True)
        self._reader.start()
        in_time = self._up.wait(self._timeout)
        if not self._is_ready:
            self.kill()
            said = "\n".join(self.output)
            when = "before it ended" if in_time else f"within {self._timeout:g} s"
            raise RuntimeError(
                f"{' '.join(self._command)} did not say {self._ready!r} {when}. It printed:\n{said}"
            )

    def _popen(self, environment: Mapping[str, str]) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,  # an IOC's shell ends with its input
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, **environment, **self._further},
            start_new_session=True,
        )

    def _read(self) -> None:
        process = self._process
        assert process is not None
        assert process.stdout is not None
        for line in process.stdout:
            self.output.append(line.rstrip())
            if self._ready in line:
                self._is_ready = True
                self._up.set()
        self._up.set()  # it has ended: nobody needs to wait any longer

    def freeze(self) -> None:
        """Let it answer no more, though its connections stay: as a machine that hangs."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it at once, as a power failure does, and wait until it has."""
        self._dismiss_guard()
        self._signal(signal.SIGKILL)
        process, reader = self._process, self._reader
        self._process = self._reader = None
        if process is not None:
            process.wait()
        if reader is not None:
            reader.join()  # before its stream is closed
        for stream in () if process is None else (process.stdin, process.stdout):
            if stream is not None:
                stream.close()
        give_back(self._ports)
        self._ports = None

    def _dismiss_guard(self) -> None:
        """End the guard before the process, whose number may be another one's afterwards."""
        guard, self._guard = self._guard, None
        if guard is not None:
            guard.kill()
            guard.wait()
            assert guard.stdin is not None
            guard.stdin.close()

    def _signal(self, number: int) -> None:
        """Send a signal to the process, and to what it has started."""
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, number)

    def __enter__(self) -> IocProcess:
        """Start it."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self.kill()
