"""Background tasks at the prompt: found by name, followed, and told of when they have failed."""

from __future__ import annotations

import queue
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError

from freewheel.core._errors import text_of
from freewheel.terminal import LiveProgress, signals

if TYPE_CHECKING:
    from freewheel.core import EngineView

__all__ = ["failure_line", "find_task", "follow_task"]

_REFRESH = 0.1  # s between two pictures of the progress
_TOO_LONG = 100


def find_task(engine: EngineView, name: str) -> Any:
    """Return the background task that answers to a name.

    Raises
    ------
    UsageError
        If there is none; those that run are named.
    """
    for task in engine.background.running:
        if task.name == name:
            return task
    running = ", ".join(task.name for task in engine.background.running) or "none"
    raise UsageError(f"There is no background task {name!r}. Running: {running}.")


def follow_task(engine: EngineView, task: Any, *, notebook: bool) -> bool:
    """Show a task until it has ended, or Ctrl-C; return whether it has ended."""
    news: queue.SimpleQueue[bool] = queue.SimpleQueue()
    task.future.add_done_callback(lambda _: news.put(True))
    with (
        task.future.watched(),  # its failure is shown here, and needs no line in the log
        signals(("SIGINT",), lambda _: news.put(False)),
        LiveProgress(notebook=notebook) as display,
    ):
        while True:
            progress = [each for each in engine.snapshot().progress if each.owner == task.name]
            display.show(task.name, task.standing, None, progress)
            try:
                return news.get(timeout=_REFRESH)
            except queue.Empty:
                continue


def failure_line(error: BaseException) -> str:
    """Return type and message of a failure, on one short line."""
    text = " ".join(text_of(error).split())
    if len(text) > _TOO_LONG:
        text = f"{text[: _TOO_LONG - 1]}…"
    return f"{type(error).__name__}: {text}"
