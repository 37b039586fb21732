"""A prompt that says what runs."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any

from IPython.terminal.prompts import Prompts
from prompt_toolkit.formatted_text import PygmentsTokens
from pygments.token import Token  # type: ignore[import-untyped]

from freewheel.core._wording import took_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from freewheel.core import EngineSnapshot

    from ._jobs import Jobs

__all__ = ["JobPrompts", "PromptRefresher"]


class JobPrompts(Prompts):
    """The prompts that there were, with what runs in front: ``[live_view 12 s] In [3]:``.

    Parameters
    ----------
    inner : Prompts
        The prompts that there were.
    jobs : Jobs
        Knows the engine.
    """

    def __init__(self, inner: Any, jobs: Jobs) -> None:
        super().__init__(inner.shell)
        self.inner = inner
        self._jobs = jobs

    def text(self) -> str:
        """Return what is put in front; empty while nothing runs."""
        engine = self._jobs.peek()
        if engine is None:
            return ""
        if not getattr(engine, "connected", True):  # of one elsewhere: what is known is old
            return "[no line] "
        future = engine.current
        if future is None:
            words = list(_beside_no_plan(engine.snapshot()))
            return f"[{', '.join(words)}] " if words else ""
        state = engine.state
        words = [future.plan_name, *([] if state == "running" else [str(state)])]
        words.append(took_text(future.elapsed, future.time_left))
        if waiting := len(engine.queued):
            words.append(f"+{waiting}")
        return f"[{' '.join(words)}] "

    def in_prompt_tokens(self) -> list[Any]:
        """Return the prompt for input."""
        text = self.text()
        before = [(Token.Prompt.Plan, text)] if text else []
        return [*before, *self.inner.in_prompt_tokens()]

    def continuation_prompt_tokens(
        self,
        width: int | None = None,
        *,
        lineno: int | None = None,
        wrap_count: int | None = None,
    ) -> Any:
        """Return the prompt for further lines of input."""
        if width is None:
            width = self._width()  # type: ignore[no-untyped-call]
        known = inspect.signature(self.inner.continuation_prompt_tokens).parameters
        given = {"lineno": lineno, "wrap_count": wrap_count}  # new in IPython 9
        return self.inner.continuation_prompt_tokens(
            width, **{name: value for name, value in given.items() if name in known}
        )

    def rewrite_prompt_tokens(self) -> Any:
        """Return what stands before rewritten input."""
        return self.inner.rewrite_prompt_tokens()

    def out_prompt_tokens(self) -> Any:
        """Return the prompt for output."""
        return self.inner.out_prompt_tokens()


def _beside_no_plan(picture: EngineSnapshot) -> Iterator[str]:
    if picture.service_failed is not None:
        yield "service failed"
    if picture.queue_held is not None:
        yield "queue held"
    if picture.background:
        yield f"{len(picture.background)} in the background"


class PromptRefresher:
    """Keeps the prompt up to date while something runs, and leaves it alone while nothing does.

    Parameters
    ----------
    shell : TerminalInteractiveShell
        A shell whose prompt is prompt_toolkit's.
    prompts : JobPrompts
        Its prompts.
    """

    def __init__(self, shell: Any, prompts: JobPrompts) -> None:
        self._shell = shell
        self._prompts = prompts
        self._tick: asyncio.TimerHandle | None = None  # of the thread that draws the prompt
        self._app = shell.pt_app.app
        self._app.before_render += self._before_render

    def refresh(self) -> None:
        """Draw the prompt anew, if it is shown; from any thread."""
        if self._app.is_running:
            self._app.invalidate()

    def stop(self) -> None:
        """Leave the prompt alone from now on."""
        self._app.before_render -= self._before_render

    def _before_render(self, app: Any) -> None:
        # IPython has worked the prompt out once, before it showed it. A function instead of that
        # is asked each time it is drawn.
        self._shell.pt_app.message = self._message
        if self._tick is None and self._prompts.text():
            self._tick = asyncio.get_running_loop().call_later(1.0, self._ticked)

    def _message(self) -> PygmentsTokens:
        return PygmentsTokens(self._shell.prompts.in_prompt_tokens())

    def _ticked(self) -> None:
        self._tick = None
        self.refresh()
