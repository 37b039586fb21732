"""The pytest plugin: fixtures for tests of plans.

``RE``, an engine that is closed after the test; ``documents``, what it emitted; ``clock``, which
makes time that is waited for pass at once; ``leak_check``, which fails a test that leaves threads,
event loops or tasks behind; ``start_ioc``, which starts EPICS servers as processes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from freewheel import RunEngine

    from ._clock import VirtualClock
    from ._documents import DocumentLog
    from ._iocs import IocProcess

__all__ = ["RE", "clock", "documents", "leak_check", "start_ioc"]


@pytest.fixture
def clock() -> VirtualClock:
    """Return a clock that need not be waited for: with it, `RE` runs in its time."""
    from ._clock import VirtualClock

    return VirtualClock()


@pytest.fixture
def RE(request: pytest.FixtureRequest) -> Iterator[RunEngine]:  # noqa: N802 - Bluesky's name
    """Give an engine, and close it after the test.

    In a test that has the `clock` fixture too, it runs in that clock's time.
    """
    from freewheel import RunEngine

    if "clock" not in request.fixturenames:
        with RunEngine() as engine:
            yield engine
        return
    from ._clock import VirtualTimeLoop

    loop = VirtualTimeLoop(request.getfixturevalue("clock"))
    try:
        with RunEngine(loop=loop) as engine:
            yield engine
    finally:
        loop.close()


@pytest.fixture
def documents(RE: RunEngine) -> DocumentLog:  # noqa: N803 - the fixture's name
    """Return the log of what `RE` emits."""
    from ._documents import DocumentLog

    log = DocumentLog()
    RE.subscribe(log)
    return log


@pytest.fixture
def leak_check() -> Iterator[None]:
    """Fail a test that leaves threads, loops or tasks behind.

    For all tests of a folder, put ``pytestmark = pytest.mark.usefixtures("leak_check")`` into
    its modules, or make an autouse fixture of it.
    """
    from ._leaks import no_leaks

    with no_leaks():
        yield


@pytest.fixture
def start_ioc() -> Iterator[Callable[..., IocProcess]]:
    """Give what starts an EPICS server, or another one, as a process; it ends with the test.

    ``ioc = start_ioc("my_ioc.py", ready="iocInit")``: the arguments are those of `IocProcess`.
    Its ports are nobody else's, and clients of this process look nowhere else: see `local_epics`.
    """
    from contextlib import ExitStack

    from ._iocs import IocProcess

    with ExitStack() as running:

        def start(*arguments: Any, **options: Any) -> IocProcess:
            return running.enter_context(IocProcess(*arguments, **options))

        yield start
