"""A pytest plugin: others' tests get ``freewheel.BlockingRunEngine`` for bluesky's class.

The class itself, as users import it, put in the place of bluesky's and nothing else. Loaded with
``-p engine_in_place`` before any test module is imported; see ``run_suite.py``.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import bluesky
import bluesky.magics
import bluesky.run_engine

if TYPE_CHECKING:
    import pytest

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


if os.environ.get("CONFORMANCE_ENGINE", "freewheel") == "freewheel":
    from freewheel import BlockingRunEngine

    _install(BlockingRunEngine)
