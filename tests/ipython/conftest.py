"""One IPython for all tests of a module: starting one takes seconds."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


def _load() -> Any:
    name = "freewheel_tests_terminal"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(
            name, Path(__file__).with_name("_terminal.py")
        )
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


PLANS = str(Path(__file__).with_name("plans_at_the_prompt"))
# Before what the tests themselves are given, which may be a source tree.
PATHS = os.pathsep.join(filter(None, [PLANS, os.environ.get("PYTHONPATH")]))
SETUP = (
    "%load_ext freewheel",
    "from freewheel import RunEngine; import bluesky.plans as bp; import bluesky.plan_stubs as bps",
    "from freewheel.plans import live_view; from freewheel.sim import microscope",
    "from prompt_plans import long, bad, guarded, nested",
    "RE = RunEngine(); scope = microscope(instant=True)",
)


@pytest.fixture
def new_terminal(tmp_path: Path) -> Iterator[Any]:
    """A function that starts Python on a pseudo-terminal."""
    pytest.importorskip("pexpect")
    pytest.importorskip("pyte")
    module = _load()
    made: list[Any] = []

    def start(*arguments: str, **environment: str) -> Any:
        terminal = module.Terminal(
            list(arguments), tmp_path / "ipython", PYTHONPATH=PATHS, **environment
        )
        made.append(terminal)
        return terminal

    yield start
    for terminal in made:
        terminal.discard()


@pytest.fixture(scope="module")
def ipython(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """An IPython with freewheel loaded, an engine RE and a microscope."""
    pytest.importorskip("pexpect")
    pytest.importorskip("pyte")
    terminal = _load().Terminal(
        ["-m", "IPython", "--no-banner", "--no-confirm-exit", "--colors=nocolor"],
        tmp_path_factory.mktemp("ipython"),
        PYTHONPATH=PATHS,
    )
    for cell in SETUP:
        terminal.run(cell)
    yield terminal
    terminal.discard()
