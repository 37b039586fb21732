from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("websockets")

from afar import Afar, Cable, Here, some_plans
from freewheel import RunEngine
from freewheel.remote import EngineServer, RemoteEngine, TokenFile, connect
from freewheel.sim import microscope


@pytest.fixture
def tokens(tmp_path: Path) -> TokenFile:
    return TokenFile(tmp_path / "tokens.json")


@pytest.fixture
def devices() -> dict[str, Any]:
    return dict(microscope(shape=(32, 32), instant=True))


@pytest.fixture
def server(engine: RunEngine, tokens: TokenFile, devices: Any) -> Iterator[EngineServer]:
    plans = some_plans()
    with EngineServer(
        engine, plans=plans.values(), devices=devices, tokens=tokens, port=0
    ) as serving:
        yield serving


@pytest.fixture
def join(server: EngineServer, tokens: TokenFile) -> Iterator[Callable[..., RemoteEngine]]:
    """Connect as somebody."""
    with ExitStack() as stack:

        def connected(
            name: str = "anna", role: str = "operator", url: str | None = None
        ) -> RemoteEngine:
            token = tokens.add(name, role)
            return stack.enter_context(connect(url or server.url, token))

        yield connected


@pytest.fixture
def remote(join: Any) -> RemoteEngine:
    return join()


@pytest.fixture
def cable(server: EngineServer) -> Iterator[Cable]:
    made = Cable(server.port)
    yield made
    made.close()


@pytest.fixture(params=["here", "afar"])
def view(request: pytest.FixtureRequest, engine: RunEngine, devices: Any) -> Any:
    """An engine of this process, and one elsewhere."""
    if request.param == "here":
        return Here(engine, some_plans(), devices)
    return Afar(request.getfixturevalue("remote"))
