"""What the tests of recordings share: experiments on a simulated microscope."""

from __future__ import annotations

import numpy as np
import pytest

from freewheel.recording import Recorder, read_runs
from freewheel.sim import microscope

pytest.importorskip("h5py")


@pytest.fixture(scope="session")
def scope():
    """A small and quick microscope, connected."""
    return microscope(shape=(48, 64), exposure=0.001, seed=1)


@pytest.fixture
def parts(scope):
    """The microscope's devices by the names that documents give them."""
    return {**scope, "stage-x": scope.stage.x, "stage-y": scope.stage.y}


@pytest.fixture
def record(engine, tmp_path):
    """Run a plan, recorded; return its runs, and the documents that were emitted."""

    def recorded(plan, **options):
        emitted = []
        path = tmp_path / "recording"
        collector = engine.subscribe(lambda name, doc: emitted.append((name, doc)))
        with Recorder(path, **options) as recorder:
            token = engine.subscribe(recorder, delivery="queued")
            try:
                engine(plan).result(30)
            finally:
                engine.unsubscribe(token)
                engine.unsubscribe(collector)
        return read_runs(path), emitted

    return recorded


def same(first, second):
    """Tell whether two values are equal in type and, arrays, bit for bit."""
    if type(first) is not type(second):
        return False
    if isinstance(first, np.ndarray):
        about = (first.dtype, first.shape) == (second.dtype, second.shape)
        return about and first.tobytes() == second.tobytes()
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same(first[k], second[k]) for k in first)
    if isinstance(first, (list, tuple)):
        return len(first) == len(second) and all(map(same, first, second))
    return first == second or (first != first and second != second)


def assert_same_documents(first, second):
    first, second = list(first), list(second)
    assert [name for name, _ in first] == [name for name, _ in second]
    for (name, one), (_, other) in zip(first, second, strict=True):
        assert same(one, other), f"{name}: {one} is not {other}"


@pytest.fixture
def equal_documents():
    return assert_same_documents
