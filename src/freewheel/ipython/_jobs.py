"""Which engine the prompt is about, and news of its plans."""

from __future__ import annotations

import sys
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

from bluesky.run_engine import RunEngine as BlueskyRunEngine
from IPython.core.error import UsageError

from freewheel.background import TaskStatus
from freewheel.core import duration_text, is_engine
from freewheel.engine import BlockingRunEngine
from freewheel.terminal import follow_progress

from ._tasks import failure_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from IPython.core.interactiveshell import InteractiveShell

    from freewheel.core import EngineView, PlanFutureView

__all__ = ["Jobs"]


#: How many lines are kept for the end of a cell; older ones give way.
_MAX_NEWS = 100


class Jobs:
    """The engines of a shell's namespace, and news of plans that nobody waits for.

    Parameters
    ----------
    shell : InteractiveShell
        The shell.
    refresh : callable
        Called, from any thread, when the prompt has something new to show.
    """

    def __init__(self, shell: InteractiveShell, refresh: Callable[[], None]) -> None:
        self.shell = shell
        self._refresh = refresh
        self.chosen: str | None = None
        # Of the main thread alone: the engines that tell of their plans.
        self._known: list[EngineView] = []
        # Guards the rest: engines' threads bring news, the main thread prints them.
        self._lock = threading.Lock()
        self._busy = True  # a cell runs: news wait for its end
        self._news: deque[PlanFutureView] = deque(maxlen=_MAX_NEWS)
        self.last_failed: BaseException | None = None
        self._failures: dict[str, Any] = {}  # tasks that failed, by name, until they were seen

    # -- engines ------------------------------------------------------------------------------

    def engines(self) -> Mapping[str, EngineView]:
        """Return the engines of the namespace by name; each once, whatever its views."""
        found: dict[str, EngineView] = {}
        for name, value in list(self.shell.user_ns.items()):
            if (
                is_engine(value)
                and not name.startswith("_")
                and not value.closed
                and not any(value.events is known.events for known in found.values())
            ):
                found[name] = value
        return found

    def name(self) -> str:
        """Return the name of the engine that is used.

        Raises
        ------
        UsageError
            If there is none, or it is not clear which.
        """
        engines = self.engines()
        if self.chosen is not None:
            if is_engine(self.shell.user_ns.get(self.chosen)):
                return self.chosen
            raise UsageError(
                f"There is no run engine {self.chosen!r} any more. %freewheel use NAME chooses "
                f"another; there are: {', '.join(engines) or 'none'}."
            )
        if "RE" in engines:
            return "RE"
        if len(engines) == 1:
            return next(iter(engines))
        if engines:
            raise UsageError(
                f"There are several run engines, and none is called RE: {', '.join(engines)}. "
                "Choose one with %freewheel use NAME."
            )
        other = self.shell.user_ns.get("RE")
        if isinstance(other, BlueskyRunEngine) and not is_engine(other):
            raise UsageError(
                "RE is bluesky's own run engine, whose calls block. Make one whose calls do not: "
                "from freewheel import RunEngine; RE = RunEngine()."
            )
        raise UsageError(
            "There is no run engine. Make one: from freewheel import RunEngine; RE = RunEngine()."
        )

    def engine(self) -> EngineView:
        """Return the engine that is used; raises as `name` does."""
        engine: EngineView = self.shell.user_ns[self.name()]
        return engine

    def peek(self) -> EngineView | None:
        """Return the engine that is used, or ``None``."""
        try:
            return self.engine()
        except UsageError:
            return None

    def use(self, name: str) -> None:
        """Choose an engine by its name in the namespace.

        Raises
        ------
        UsageError
            If that is no engine of freewheel's.
        """
        if not is_engine(self.shell.user_ns.get(name)):
            raise UsageError(
                f"{name!r} is no run engine of freewheel's. There are: "
                f"{', '.join(self.engines()) or 'none'}."
            )
        self.chosen = name
        self.look()

    def look(self) -> None:
        """Follow the engines that are new; on the main thread."""
        for engine in self.engines().values():
            if any(engine is known for known in self._known):
                continue
            self._known = [known for known in self._known if not known.closed]
            self._known.append(engine)
            follow_progress(engine)
            if not isinstance(engine, BlockingRunEngine):
                engine.events.plan_ended.connect(self._plan_ended)
            engine.events.state_changed.connect(self._state_changed)
            engine.events.background_changed.connect(self._task_changed)

    def forget(self) -> None:
        """Follow no engine any more."""
        for engine in self._known:
            engine.events.plan_ended.disconnect(self._plan_ended, missing_ok=True)
            engine.events.state_changed.disconnect(self._state_changed, missing_ok=True)
            engine.events.background_changed.disconnect(self._task_changed, missing_ok=True)
        self._known.clear()

    # -- news ---------------------------------------------------------------------------------

    def _state_changed(self, new: str, old: str) -> None:
        self._refresh()

    def _task_changed(self, task: Any) -> None:
        # On the engine's thread. The log tells of it, unless a plan raises it or somebody waits.
        if task.status == TaskStatus.FAILED:
            with self._lock:
                self._failures.pop(task.name, None)  # the newest comes last
                self._failures[task.name] = task
                while len(self._failures) > _MAX_NEWS:
                    del self._failures[next(iter(self._failures))]
                self.last_failed = task.future.peek()
        self._refresh()

    @property
    def failures(self) -> Mapping[str, BaseException]:
        """What tasks have failed with, by their names, as long as nobody has seen it."""
        with self._lock:
            tasks = dict(self._failures)
        return {
            name: error
            for name, task in tasks.items()
            if not task.future.observed and (error := task.future.peek()) is not None
        }

    def failed(self) -> Iterator[str]:
        """Return a line for each failure of a task that nobody has seen."""
        for name, error in self.failures.items():
            yield f"failed      {name}: {failure_line(error)} (%freewheel traceback {name})"

    def seen_failure(self, name: str) -> BaseException:
        """Return what a task has failed with, or without a name what failed last; it is seen now.

        Raises
        ------
        UsageError
            If nothing has.
        """
        unseen = self.failures
        error = unseen.get(name) if name else self.last_failed
        if error is None:
            which = f" Tasks that failed: {', '.join(unseen)}." if unseen else ""
            what = f"No task {name!r} has failed." if name else "No plan and no task has failed."
            raise UsageError(f"{what}{which}")
        with self._lock:
            for known, other in unseen.items():
                if other is error:
                    self._failures.pop(known, None)
        return error

    def _plan_ended(self, future: PlanFutureView) -> None:
        # On the engine's thread.
        with self._lock:
            self._news.append(future)
            if self._busy:
                return
        self._print_news()
        self._refresh()

    def cell_begins(self, *_: Any) -> None:
        """Keep news back from now on: their lines would stand in the cell's own output."""
        with self._lock:
            self._busy = True

    def cell_ended(self, *_: Any) -> None:
        """Print what was kept back, and look for new engines."""
        self.look()
        with self._lock:
            self._busy = False
        self._print_news()

    def _print_news(self) -> None:
        with self._lock:
            news = list(self._news)
            self._news.clear()
        lines = [self._line(future) for future in news if not _is_looked_after(future)]
        if lines:
            sys.stdout.write("".join(f"{line}\n" for line in lines))
            sys.stdout.flush()

    def _line(self, future: PlanFutureView) -> str:
        took = duration_text(future.elapsed)
        error = future.failure
        if error is None:
            return f"[{future.plan_name}] {future.status} after {took}."
        self.last_failed = error
        return (
            f"[{future.plan_name}] failed after {took}: {failure_line(error)} "
            "(%freewheel traceback shows where)"
        )


def _is_looked_after(future: PlanFutureView) -> bool:
    return future.observed or future.outcome.observed
