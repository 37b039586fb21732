"""Progress that is kept up to date: bars in a terminal, a card in a notebook."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any, Protocol

from freewheel.core import amount_text, label_text, left_text, status_text
from freewheel.core._wording import took_text
from freewheel.engine import plan_card

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Self

    from rich.console import Console, RenderableType

    from freewheel.core import PlanFutureView, Progress

__all__ = ["LiveProgress"]

_BAR_WIDTH = 30
_MAX_ROWS = 12


class _Display(Protocol):
    def start(self) -> None: ...

    def show(
        self,
        name: str,
        status: str,
        elapsed: float | None,
        progress: Iterable[Progress],
        left: float | None = None,
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
        self,
        name: str,
        status: str,
        elapsed: float | None,
        progress: Iterable[Progress],
        left: float | None = None,
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
        left : float or None
            Seconds until its end, if that is known.
        """
        self._display.show(name, status, elapsed, progress, left)

    def show_plan(self, future: PlanFutureView, progress: Iterable[Progress]) -> None:
        """Show how a plan stands, with the progress given."""
        status = status_text(future.status, future.failure)
        self.show(future.plan_name, status, future.elapsed, progress, future.time_left)


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
            redirect_stderr=self._console.is_terminal and sys.stderr.isatty(),
        )

    def start(self) -> None:
        self._live.start()

    def show(
        self,
        name: str,
        status: str,
        elapsed: float | None,
        progress: Iterable[Progress],
        left: float | None = None,
    ) -> None:
        if self._console.is_terminal:
            self._live.update(_table(name, status, elapsed, progress, left), refresh=True)

    def stop(self) -> None:
        if not self._console.is_terminal:
            # Else rich would print what it has shown last, as the transcript of it.
            self._live.update("")
        with contextlib.suppress(OSError):  # the terminal was closed
            self._live.stop()


def _table(
    name: str,
    status: str,
    elapsed: float | None,
    progress: Iterable[Progress],
    left: float | None,
) -> RenderableType:
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    rows = Table.grid(padding=(0, 1))
    every = list(progress)
    for each in every[:_MAX_ROWS]:
        label = f"{each.name} (task)" if each.kind == "task" else label_text(each)
        bar = ProgressBar(
            total=1,
            completed=each.fraction or 0,
            width=_BAR_WIDTH,
            pulse=each.fraction is None,
        )
        title = Text("  " * (each.depth + 1) + label)
        rows.add_row(title, bar, Text(amount_text(each)), Text(left_text(each)))
    if len(every) > _MAX_ROWS:
        rows.add_row(Text(f"  and {len(every) - _MAX_ROWS} more"))
    head = Text.assemble((name, "bold"), f" {status} {took_text(elapsed, left)}")
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
        self,
        name: str,
        status: str,
        elapsed: float | None,
        progress: Iterable[Progress],
        left: float | None = None,
    ) -> None:
        card = plan_card(name, status, elapsed, progress, left)
        if card != self._shown:
            self._shown = card
            self._handle.update(self._html(card))

    def stop(self) -> None:
        """Leave the card as it is: its last picture says how the plan stood."""
