"""The page for a phone beside the instrument."""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bluesky.plans import count

from afar import T, some_plans, until
from browser import CHROMIUM, Tab, browser
from freewheel import RunEngine
from freewheel.remote import EngineServer, TokenFile
from freewheel.sim import microscope

#: How many greys there are in the live picture; of a copy, for Chromium warns of often read ones.
GREYS = """(() => {
    const copy = new OffscreenCanvas(512, 512).getContext("2d", {willReadFrequently: true});
    copy.drawImage(document.querySelector("canvas"), 0, 0);
    const { data } = copy.getImageData(0, 0, 512, 512);
    return new Set(data.filter((_, n) => n % 4 === 0)).size;
})()"""
needs_chromium = pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium")


@pytest.fixture
def devices() -> dict[str, Any]:
    return dict(microscope(shape=(512, 512), instant=True))  # frames of half a megabyte


@pytest.fixture
def server(engine: RunEngine, tokens: TokenFile, devices: Any) -> Iterator[EngineServer]:
    plans = [*some_plans().values(), count]
    with EngineServer(engine, plans=plans, devices=devices, tokens=tokens, port=0) as serving:
        yield serving


@pytest.fixture
def tab(tmp_path: Path) -> Iterator[Tab]:
    with browser(tmp_path / "browser") as made:
        yield made
        assert not made.errors


def _page(server: EngineServer, token: str = "") -> str:
    return server.page + (f"#token={token}" if token else "")


def test_the_page_is_served_and_nothing_beside_it(server: EngineServer) -> None:
    with urllib.request.urlopen(_page(server)) as answer:
        text = answer.read().decode()
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "http" not in text  # nothing from elsewhere
    for name in ("page.css", "page.js", "line.js", "frames.js", "msgpack.js"):
        with urllib.request.urlopen(f"{_page(server)}page/{name}") as answer:
            assert answer.read()
    for path in ("page/..%2f_tokens.py", "page/_tokens.py", "page/%2e%2e/_page.py", "page/"):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"{_page(server)}{path}")


@pytest.mark.servers
@needs_chromium
def test_who_has_the_page_sees_and_steers_the_engine(
    tab: Tab, server: EngineServer, tokens: TokenFile, engine: RunEngine, join: Any
) -> None:
    remote = join("anna")
    token = tokens.add("phone", "operator")
    tab.show(_page(server, token))
    tab.until("document.querySelector('#state').textContent === 'idle'")
    assert token not in tab.run("location.href")
    tab.until("document.querySelectorAll('#values dd').length > 3")

    plan = remote(remote.plans.measure_when_told([remote.devices.camera], num=2))
    waiting = remote(remote.plans.measure())
    remote.queue.hold("lunch")
    tab.until("document.querySelector('#plan').textContent.startsWith('measure_when_told')")
    tab.until("document.querySelector('#queue').textContent.includes('measure')")
    tab.until("document.querySelector('#held').textContent.includes('lunch')")
    tab.press("go")
    assert plan.result(T).exit_status == "success"
    tab.until("!document.querySelector('#live').hidden")
    tab.until("document.querySelector('#live small').textContent.includes('camera')")
    tab.press("Let it go on")
    assert waiting.result(T).exit_status == "success"

    remote(remote.plans.count([remote.devices.camera], num=3)).result(T)
    tab.until(f"document.querySelector('#plan').textContent === '' && {GREYS} > 10")
    assert tab.run("document.querySelector('canvas').width") == 512

    plan = remote(remote.plans.waits())
    tab.press("Pause")
    until(engine, "state_changed", lambda: engine.state == "paused")
    tab.press("Resume")
    until(engine, "state_changed", lambda: engine.state == "running")
    tab.press("Stop all")
    tab.until("document.querySelector('#state').textContent === 'idle'")
    assert engine.current is None
    until(engine, "state_changed", lambda: engine.state == "idle")


@pytest.mark.servers
@needs_chromium
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_fits_a_phone(
    tab: Tab, server: EngineServer, tokens: TokenFile, join: Any, theme: str
) -> None:
    remote = join("anna")
    remote(remote.plans.waits())
    remote(remote.plans.count([remote.devices.camera], num=3))
    remote(remote.plans.lit())
    remote(remote.plans.measure())
    tab.show(_page(server, tokens.add("phone", "operator")), theme=theme)
    tab.until("document.querySelectorAll('#values dd').length > 3")
    tab.press("go")
    tab.until("!document.querySelector('#live').hidden")
    tab.press("light: Dark")
    tab.until("document.querySelector('#actions button').ariaPressed === 'true'")
    assert tab.run("document.documentElement.scrollWidth") == 360
    heights = "[...document.querySelectorAll('button')].map((b) => b.offsetHeight)"
    assert min(height for height in tab.run(heights) if height) >= 44  # for a finger
    if folder := os.environ.get("FREEWHEEL_PICTURES"):
        tab.picture(Path(folder) / f"page-{theme}.png")


@pytest.mark.servers
@needs_chromium
def test_an_observer_sees_and_cannot_press(
    tab: Tab, server: EngineServer, tokens: TokenFile, join: Any
) -> None:
    remote = join("anna")
    remote(remote.plans.waits())
    tab.show(_page(server, tokens.add("guest", "observer")))
    tab.until("document.querySelector('#actions').textContent === 'go'")
    assert tab.run("[...document.querySelectorAll('#room button')].every((b) => b.disabled)")


@pytest.mark.servers
@needs_chromium
def test_a_token_that_is_none_is_asked_for_again(tab: Tab, server: EngineServer) -> None:
    tab.show(_page(server, "no-such-token"))
    tab.until("document.querySelector('#notice').textContent.includes('no such token')")
    tab.until("!document.querySelector('#door').hidden")


@pytest.mark.servers
@needs_chromium
def test_the_page_comes_back_after_a_cut(
    tab: Tab, server: EngineServer, tokens: TokenFile, engine: RunEngine, cable: Any, join: Any
) -> None:
    remote = join("anna")
    token = tokens.add("phone", "operator")
    tab.show(f"{cable.url.replace('ws:', 'http:')}/#token={token}")
    tab.until("document.querySelector('#state').textContent === 'idle'")
    cable.cut()
    tab.until("document.querySelector('#line').textContent === 'no line'")
    assert tab.run("document.querySelector('#stop-all').disabled")
    remote(remote.plans.waits())
    cable.mend()
    tab.until("document.querySelector('#actions').textContent === 'go'")
    tab.press("go")
    tab.until("document.querySelector('#state').textContent === 'idle'")
    tab.errors.clear()  # Chromium logs each attempt without a line
