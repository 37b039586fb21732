"""A window, an engine and a microscope for each test that asks for them.

``PYTEST_QT_API=pyside6`` or ``pyqt6`` chooses the binding.
"""

import importlib.util
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

HAS_QT = all(importlib.util.find_spec(name) for name in ("pytestqt", "qtpy", "pyqtgraph"))

if HAS_QT:
    if "PYTEST_QT_API" in os.environ:
        os.environ["QT_API"] = os.environ["PYTEST_QT_API"]
    os.environ.setdefault("QT_API", "pyside6")
    os.environ.setdefault("PYTEST_QT_API", os.environ["QT_API"])
else:
    collect_ignore_glob = ["*"]


@pytest.fixture(name="scope")
def _scope() -> Any:
    from freewheel.sim import microscope

    return microscope(shape=(64, 64), instant=True)


@pytest.fixture(name="engine")
def _engine(qapp: Any) -> Iterator[Any]:
    from freewheel.engine import RunEngine

    with RunEngine() as engine:
        yield engine


@pytest.fixture(name="bridge")
def _bridge(engine: Any) -> Iterator[Any]:
    from freewheel.qt import EngineBridge

    bridge = EngineBridge(engine)
    yield bridge
    bridge.close()


@pytest.fixture(autouse=True)
def _own_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """Have windows in other processes keep nothing where this machine's user does."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture(name="soon")
def _soon(qtbot: Any) -> Callable[[Callable[[], Any]], None]:
    """Wait, with the window alive, until something is true."""

    def soon(condition: Callable[[], Any]) -> None:
        qtbot.waitUntil(lambda: bool(condition()), timeout=30_000)

    return soon


@pytest.fixture(name="looks")
def _looks(qapp: Any) -> Iterator[None]:
    """Leave the application as it was, whatever theme a test chooses."""
    from qtpy.QtCore import QEvent

    style, palette = qapp.style().name(), qapp.palette()
    yield
    if (keeper := qapp.findChild(object, "freewheel:theme")) is not None:
        keeper.setParent(None)
        keeper.deleteLater()
        qapp.sendPostedEvents(keeper, QEvent.Type.DeferredDelete.value)
    if qapp.style().name() != style:
        qapp.setStyle(style)
    qapp.setPalette(palette)
