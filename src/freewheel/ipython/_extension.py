"""Loads magics, prompt and notices into a shell, and takes them out again."""

from __future__ import annotations

import contextlib
import logging
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

from freewheel.terminal import log_as_lines

from ._bluesky_magics import bluesky_magics
from ._cards import LiveCards
from ._completion import magic_matcher
from ._jobs import Jobs
from ._magics import JobMagics
from ._preview_magic import PreviewMagic
from ._prompt import JobPrompts, PromptRefresher
from ._queue_magics import QueueMagics
from ._signals import EndSignals

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Extension", "load", "unload"]

_KEY = "_freewheel_extension"


class Extension:
    """What was loaded into one shell.

    Parameters
    ----------
    shell : InteractiveShell
        The shell.
    """

    def __init__(self, shell: Any) -> None:
        self.shell = shell
        self.notebook = hasattr(shell, "kernel")
        self.jobs = Jobs(shell, self._refresh)
        self._refresher: PromptRefresher | None = None
        self._prompts: JobPrompts | None = None
        self._restore_logging: Callable[[], None] = lambda: None
        self._signals = EndSignals(self._finish)
        self._terminal = _Terminal()
        self._cards = LiveCards(shell) if self.notebook else None
        self._matcher = magic_matcher(self.jobs)
        self._magics = [
            JobMagics(shell, self.jobs, notebook=self.notebook),
            QueueMagics(shell, self.jobs),
            PreviewMagic(shell, self.jobs, notebook=self.notebook),
            bluesky_magics(shell, self.jobs, notebook=self.notebook),
        ]

    def load(self) -> None:
        """Load everything."""
        shell = self.shell
        for magics in self._magics:
            shell.register_magics(magics)
        shell.Completer.custom_matchers.append(self._matcher)
        shell.events.register("pre_run_cell", self.jobs.cell_begins)
        shell.events.register("post_run_cell", self.jobs.cell_ended)
        shell.events.register("post_run_cell", self._follow_matplotlib)
        self._load_prompt()
        if self._cards is not None:
            self._cards.load()
        self._restore_logging = log_as_lines(" (%freewheel traceback shows where)")
        self._signals.install()
        self.jobs.look()

    def _load_prompt(self) -> None:
        if self.notebook or not hasattr(self.shell, "prompts"):
            return
        self._prompts = JobPrompts(self.shell.prompts, self.jobs)
        self.shell.prompts = self._prompts
        if getattr(self.shell, "pt_app", None) is not None:
            self._refresher = PromptRefresher(self.shell, self._prompts)

    def unload(self) -> None:
        """Take everything out again, but for the magics' names."""
        events = self.shell.events
        for name, callback in (
            ("pre_run_cell", self.jobs.cell_begins),
            ("post_run_cell", self.jobs.cell_ended),
            ("post_run_cell", self._follow_matplotlib),
        ):
            with contextlib.suppress(ValueError):
                events.unregister(name, callback)
        with contextlib.suppress(ValueError):
            self.shell.Completer.custom_matchers.remove(self._matcher)
        if self._cards is not None:
            self._cards.unload()
        if self._refresher is not None:
            self._refresher.stop()
        if self._prompts is not None and self.shell.prompts is self._prompts:
            self.shell.prompts = self._prompts.inner
        self._restore_logging()
        self._signals.uninstall()
        self.jobs.forget()
        for magics in self._magics:
            for names in magics.magics.values():
                for name in names:
                    self.shell.magics_manager.magics["line"].pop(name, None)

    def _refresh(self) -> None:
        if self._refresher is not None:
            self._refresher.refresh()

    # -- live plots ---------------------------------------------------------------------------

    def _follow_matplotlib(self, *_: Any) -> None:
        """Have bluesky's plots draw on the main thread, once matplotlib draws with Qt."""
        matplotlib = sys.modules.get("matplotlib")
        if matplotlib is None or "matplotlib.pyplot" not in sys.modules:
            return
        if "qt" not in str(matplotlib.get_backend()).lower():
            return
        if threading.current_thread() is threading.main_thread():
            from bluesky.callbacks.mpl_plotting import initialize_qt_teleporter

            initialize_qt_teleporter()

    # -- the end ------------------------------------------------------------------------------

    def _finish(self, number: int) -> None:
        if number == signal.SIGTERM:
            self._terminal.restore()
        self.shell.atexit_operations()


class _Terminal:
    """Remembers how the terminal was before a prompt took it."""

    def __init__(self) -> None:
        self._settings: Any = None
        try:
            import termios

            self._settings = termios.tcgetattr(sys.__stdin__)  # type: ignore[arg-type]
        except (ImportError, OSError, ValueError, TypeError):
            return  # Windows, or no terminal
        except Exception as error:  # termios.error has no other base
            logging.getLogger("freewheel").debug("No terminal: %s", error)

    def restore(self) -> None:
        """Give it back as it was."""
        if self._settings is None:
            return
        import termios

        with contextlib.suppress(Exception):  # it is gone
            termios.tcsetattr(sys.__stdin__, termios.TCSADRAIN, self._settings)  # type: ignore[arg-type]
            sys.__stdout__.write("\x1b[?2004l\r\n")  # type: ignore[union-attr]
            sys.__stdout__.flush()  # type: ignore[union-attr]


def load(shell: Any) -> Extension:
    """Load the extension, unless it is loaded."""
    extension = getattr(shell, _KEY, None)
    if extension is None:
        extension = Extension(shell)
        try:
            extension.load()
        except BaseException:  # Ctrl-C, too: all of it or nothing, so that loading it again works
            extension.unload()
            raise
        setattr(shell, _KEY, extension)
    return extension


def unload(shell: Any) -> None:
    """Unload the extension, if it is loaded."""
    extension = getattr(shell, _KEY, None)
    if extension is not None:
        delattr(shell, _KEY)
        extension.unload()
