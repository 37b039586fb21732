"""Progress that is kept up to date: bars in a terminal, a card in a notebook."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any, Protocol

from freewheel.engine import amount_of, plan_card

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Self

    from rich.console import Console, RenderableType

    from freewheel.core import Progress

__all__ = ["LiveProgress", "duration"]

_BAR_WIDTH = 30
_MAX_ROWS = 12


def duration(seconds: float | None) -> str:
    """Return a time in words: ``"12 s"``, ``"3 min 20 s"``."""
    if seconds is None:
        return ""
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


class _Display(Protocol):
    def start(self) -> None: ...

    def show(
        self, name: str, status: str, elapsed: float | None, progress: Iterable[Progress]
    ) -> None: ...

    def stop(self) -> None: ...


class LiveProgress:
    """Shows a plan and its progress until the ``with`` block is left, and leaves no bar behind.

    What is printed meanwhile, from any thread, appears above the bars. For the main thread.

    Parameters
    ----------
    notebook : bool
        Whether to show a card in a notebook.
    console : rich.console.Console, optional
        The terminal to draw in, by default the standard output; nothing is drawn if that is no
        terminal.
    """

    def __init__(self, *, notebook: bool = False, console: Console | None = None) -> None:
        self._display: _Display = _Card() if notebook else _Bars(console)

    def __enter__(self) -> Self:
        self._display.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._display.stop()

    def show(
        self, name: str, status: str, elapsed: float | None, progress: Iterable[Progress]
    ) -> None:
        """Show how things stand.

        Parameters
        ----------
        name : str
            The plan.
        status : str
            What it does.
        elapsed : float or None
            Seconds since its start.
        progress : iterable of Progress
            What has come how far.
        """
        self._display.show(name, status, elapsed, progress)


class _Bars:
    def __init__(self, console: Console | None) -> None:
        from rich.console import Console
        from rich.live import Live

        self._console = console or Console(file=sys.stdout)
        self._live = Live(
            console=self._console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=self._console.is_terminal,
            redirect_stderr=self._console.is_terminal,
        )

    def start(self) -> None:
        self._live.start()

    def show(
        self, name: str, status: str, elapsed: float | None, progress: Iterable[Progress]
    ) -> None:
        if self._console.is_terminal:
            self._live.update(_table(name, status, elapsed, progress), refresh=True)

    def stop(self) -> None:
        if not self._console.is_terminal:
            # Else rich would print what it has shown last, as the transcript of it.
            self._live.update("")
        with contextlib.suppress(OSError):  # the terminal was closed
            self._live.stop()


def _table(
    name: str, status: str, elapsed: float | None, progress: Iterable[Progress]
) -> RenderableType:
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    rows = Table.grid(padding=(0, 1))
    every = list(progress)
    for each in every[:_MAX_ROWS]:
        label = f"{each.owner}: {each.name}" if each.background else each.name
        if each.kind == "task":
            label = f"{each.name} (task)"
        bar = ProgressBar(
            total=1,
            completed=each.fraction or 0,
            width=_BAR_WIDTH,
            pulse=each.fraction is None,
        )
        left = "" if each.remaining is None else f"{duration(each.remaining)} left"
        rows.add_row(Text("  " * (each.depth + 1) + label), bar, Text(amount_of(each)), Text(left))
    if len(every) > _MAX_ROWS:
        rows.add_row(Text(f"  and {len(every) - _MAX_ROWS} more"))
    head = Text.assemble((name, "bold"), f" {status} {duration(elapsed)}")
    return Group(head, rows) if every else head


class _Card:
    def __init__(self) -> None:
        self._handle: Any = None
        self._html: Any = None
        self._shown = ""

    def start(self) -> None:
        from IPython import display

        untyped: Any = display
        self._html = untyped.HTML
        self._handle = untyped.display(self._html(""), display_id=True)

    def show(
        self, name: str, status: str, elapsed: float | None, progress: Iterable[Progress]
    ) -> None:
        card = plan_card(name, status, elapsed, progress)
        if card != self._shown:
            self._shown = card
            self._handle.update(self._html(card))

    def stop(self) -> None:
        """Leave the card as it is: its last picture says how the plan stood."""
