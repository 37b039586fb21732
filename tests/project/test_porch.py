"""What stands on ``RE``: bluesky's names, and a few of ours, each of them documented."""

from __future__ import annotations

import inspect
from pathlib import Path

import bluesky.run_engine
import pytest

from freewheel import BlockingRunEngine, RunEngine
from freewheel.engine._base import EngineBase

REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "engine.md"


def names_of_ours(engine: EngineBase) -> set[str]:
    """The public names of an engine that bluesky's engine does not have."""
    theirs = bluesky.run_engine.RunEngine
    made = set(vars(theirs({}, context_managers=[])))
    return {
        name
        for name in dir(engine)
        if not name.startswith("_") and not hasattr(theirs, name) and name not in made
    }


@pytest.mark.leaks("bluesky's own engine leaves its loop's thread behind")
@pytest.mark.parametrize("kind", [RunEngine, BlockingRunEngine])
def test_the_porch_is_small_and_documented(kind: type[EngineBase]) -> None:
    with kind({}) as engine:
        names = names_of_ours(engine)
        inside = {name for name in vars(engine) if name.startswith("_")}
    assert len(names) <= 30
    assert len(inside) <= 60  # with bluesky's own
    attributes = inspect.getdoc(RunEngine)
    assert attributes is not None
    for name in names:
        found = inspect.getattr_static(kind, name, None)
        documented = inspect.getdoc(found) if found is not None else None
        assert documented or f"{name} :" in attributes, name
    page = REFERENCE.read_text()
    assert f"autoclass:: freewheel.{kind.__name__}\n   :inherited-members:\n" in page


@pytest.mark.parametrize("kind", [RunEngine, BlockingRunEngine])
def test_hosts_find_blueskys_class(kind: type[EngineBase]) -> None:
    assert issubclass(kind, bluesky.run_engine.RunEngine)
    assert not issubclass(BlockingRunEngine, RunEngine)
