"""A pytest plugin: bluesky's own tests get freewheel's engine for bluesky's.

bluesky's tests call an engine and expect the answer at once. So the engine that they get here
resolves each future in place, and is freewheel's in everything else. Loaded with
``-p resolved_engine`` before any test module is imported; see ``run_suite.py``.
"""

from __future__ import annotations

import os
import sys
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bluesky
import bluesky.magics
import bluesky.run_engine

if TYPE_CHECKING:
    from concurrent.futures import Future

    import pytest

DESELECTED = Path(__file__).with_name("deselected.txt")


def _resolved_engine() -> type:
    """Return a subclass of freewheel's engine whose calls wait, as bluesky's do."""
    from freewheel import RunEngine

    class ResolvedRunEngine(RunEngine):
        """freewheel's engine with every future resolved in place."""

        def __init__(
            self,
            *args: Any,
            context_managers: list[Any] | None = None,
            during_task: Any = None,
            call_returns_result: bool = False,
            **kwargs: Any,
        ) -> None:
            super().__init__(*args, call_returns_result=call_returns_result, **kwargs)
            self.context_managers = [] if context_managers is None else context_managers

        def _resolve(self, future: Future[Any]) -> Any:
            # On the engine's own thread nobody could answer, and bluesky's tests do not ask.
            if threading.current_thread() is self._th:
                return future
            return future.result()

        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            if self.state == "paused":
                # It would queue, and nobody could resume the paused plan while we wait.
                raise RuntimeError("The RunEngine is in a paused state")
            with ExitStack() as stack:
                for manager in self.context_managers:
                    stack.enter_context(manager(self))
                return self._resolve(super().__call__(*args, **kwargs))

        def resume(self) -> Any:
            return self._resolve(super().resume())

        def stop(self) -> Any:
            return self._resolve(super().stop())

        def abort(self, reason: str = "") -> Any:
            return self._resolve(super().abort(reason))

        def halt(self) -> Any:
            return self._resolve(super().halt())

        def request_pause(self, defer: bool = False) -> Any:
            return self._resolve(super().request_pause(defer))

    # Tests compare by name in log lines and reprs.
    ResolvedRunEngine.__name__ = ResolvedRunEngine.__qualname__ = "RunEngine"
    return ResolvedRunEngine


def _install(engine: type) -> None:
    original = bluesky.run_engine.RunEngine
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == "bluesky" and vars(module).get("RunEngine") is original:
            module.RunEngine = engine


def deselected() -> dict[str, str]:
    """Return the tests that are left out, and why: a file, ``file::function`` or
    ``file::function[parameters]``, to reason."""
    reasons = {}
    reason = ""
    for line in DESELECTED.read_text().splitlines():
        if line.startswith("#"):
            reason = line.lstrip("# ").strip()
        elif line.strip():
            reasons[line.strip()] = reason
    return reasons


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave whole files unread: one may need what is not installed."""
    return True if collection_path.name in deselected() else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what ``deselected.txt`` lists."""
    left_out = deselected()
    kept, dropped = [], []
    for item in items:
        function = getattr(item, "originalname", None) or item.name
        file = item.path.name
        names = {file, f"{file}::{function}", f"{file}::{item.name}"}
        (dropped if names & left_out.keys() else kept).append(item)
    config.hook.pytest_deselected(items=dropped)
    items[:] = kept


if os.environ.get("CONFORMANCE_ENGINE", "freewheel") == "freewheel":
    _install(_resolved_engine())
