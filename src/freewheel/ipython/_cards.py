"""Cards in a notebook that go on: what they show of a plan or an engine is kept up to date."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any, Final

from freewheel.core import EngineState
from freewheel.engine import BlockingRunEngine, PlanFuture, RunEngine

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["LiveCards"]

_log = logging.getLogger("freewheel")

#: Seconds from one picture to the next.
_PERIOD: Final = 0.25


class LiveCards:
    """Shows futures and engines that are under way as cards that go on until they are not.

    Those of notebooks alone: elsewhere a representation cannot be changed.

    Parameters
    ----------
    shell : InteractiveShell
        A notebook's shell.
    """

    def __init__(self, shell: Any) -> None:
        self._formatter = shell.display_formatter.ipython_display_formatter
        # Guards the rest: cells show cards on the main thread, one thread keeps them up to date.
        self._lock = threading.Lock()
        self._cards: list[_Card] = []
        self._thread: threading.Thread | None = None
        self._news = threading.Event()

    def load(self) -> None:
        """Show what a cell ends with as such a card from now on."""
        self._formatter.for_type(PlanFuture, self._show_plan)
        for kind in (RunEngine, BlockingRunEngine):
            self._formatter.for_type(kind, self._show_engine)

    def unload(self) -> None:
        """Show it as a picture of its moment again; and change no card any more."""
        for kind in (PlanFuture, RunEngine, BlockingRunEngine):
            self._formatter.type_printers.pop(kind, None)
        with self._lock:
            self._cards.clear()
        self._news.set()

    def _show_plan(self, future: PlanFuture) -> None:
        if future.outcome.done():
            raise NotImplementedError  # what IPython takes for: show it as usual
        self._keep(_Card(future, future.outcome.done))
        future.outcome.add_done_callback(lambda _: self._news.set())

    def _show_engine(self, engine: RunEngine | BlockingRunEngine) -> None:
        def rests() -> bool:
            picture = engine.snapshot()
            rests = picture.state in (EngineState.IDLE, EngineState.PANICKED)
            return engine.closed or (rests and not picture.background)

        if rests():
            raise NotImplementedError
        self._keep(_Card(engine, rests))

    def _keep(self, card: _Card) -> None:
        with self._lock:
            self._cards.append(card)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="freewheel-cards", daemon=True
                )
                self._thread.start()

    def _run(self) -> None:
        while True:
            self._news.wait(_PERIOD)
            self._news.clear()
            with self._lock:
                cards = list(self._cards)
            over = [card for card in cards if not card.goes_on()]
            with self._lock:
                self._cards = [card for card in self._cards if card not in over]
                if not self._cards:
                    self._thread = None
                    return


class _Card:
    """One card, shown where the cell that runs now has its output."""

    def __init__(self, thing: Any, over: Callable[[], bool]) -> None:
        from IPython import display

        untyped: Any = display
        self._thing = thing
        self._over = over
        self._shown = self._picture()
        self._handle = untyped.display(self._shown, raw=True, display_id=True)

    def goes_on(self) -> bool:
        """Show how it stands now; return whether that may change yet, and can be shown."""
        over = self._over()  # before the picture, which shows the end then
        picture = self._picture()
        if picture != self._shown:
            self._shown = picture
            try:
                self._handle.update(picture, raw=True)
            except Exception:  # the kernel ends: there is nobody to show it to
                _log.debug("A card could not be shown.", exc_info=True)
                return False
        return not over

    def _picture(self) -> dict[str, str]:
        return {"text/plain": repr(self._thing), "text/html": self._thing._repr_html_()}
