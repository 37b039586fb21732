"""A pytest plugin: others' tests get ``freewheel.BlockingRunEngine`` for bluesky's class.

The class itself, as users import it, put in the place of bluesky's and nothing else. Loaded with
``-p engine_in_place`` before any test module is imported; see ``run_suite.py``.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import bluesky
import bluesky.magics
import bluesky.run_engine
import pytest

if TYPE_CHECKING:
    from collections.abc import Coroutine

DESELECTED = Path(__file__).with_name("deselected.txt")


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


def _millisecond() -> Coroutine[None, None, None]:
    return asyncio.sleep(0.001)


if os.environ.get("CONFORMANCE_ENGINE", "freewheel") == "freewheel":
    from freewheel import BlockingRunEngine
    from freewheel.engine._bluesky import _messages

    _install(BlockingRunEngine)

    @pytest.fixture(autouse=True)
    def _slow_enough_for_a_signal(
        request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Give each message a millisecond where a thread sends a SIGINT once a plan has begun.

        Some of these plans are fifteen messages and over in 0.03 ms, before that thread is awake:
        its signal then ends pytest.
        """
        if "sigint" in request.node.name:
            monkeypatch.setattr(_messages, "_turn", _millisecond)
