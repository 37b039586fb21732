"""Top-level pytest configuration: what every test of this repository shares.

A test that leaves a thread, an open event loop or a pending task behind fails, whatever else it
found: what a test leaks a user's program would leak.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from freewheel.testing import no_leaks as leaving_nothing

if TYPE_CHECKING:
    from collections.abc import Iterator

# Classic ophyd takes whatever EPICS is installed, which has threads, and hooks of its own at forks.
os.environ.setdefault("OPHYD_CONTROL_LAYER", "dummy")

# Shells have what they start in the background ignore them, and so do its children.
for _number, _default in (
    (signal.SIGINT, signal.default_int_handler),
    (getattr(signal, "SIGHUP", signal.SIGINT), signal.SIG_DFL),
):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _default)

# Threads of the tools that the tests use, of which a process keeps a few: they are no leak.
KEPT_THREADS = ("tqdm", "execnet", "ophyd", "_PyTango", "IPythonHistorySavingThread", "QThread")


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line(
        "markers", "leaks(reason): the test may leave threads or loops behind, for this reason"
    )


@pytest.fixture(autouse=True)
def no_leaks(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaks threads, event loops or tasks."""
    if request.node.get_closest_marker("leaks") is not None:
        yield
        return
    # A full collection after each test would take longer than most tests.
    with leaving_nothing(keep=KEPT_THREADS, collect=False):
        yield
