"""A headless Chromium, spoken to over its own protocol."""

from __future__ import annotations

import base64
import itertools
import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

T = 20
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)


class Tab:
    """A page of a browser, as wide as a phone."""

    def __init__(self, line: ClientConnection) -> None:
        self._line = line
        self._numbers = itertools.count(1)
        self.errors: list[str] = []  # that the page has thrown or logged
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)[
            "sessionId"
        ]
        self.ask("Runtime.enable")
        self.ask("Log.enable")
        self.ask("Page.enable")

    _session: str | None = None

    def ask(self, method: str, **params: Any) -> Any:
        """Ask the browser for something."""
        number = next(self._numbers)
        message: dict[str, Any] = {"id": number, "method": method, "params": params}
        if self._session is not None:
            message["sessionId"] = self._session
        self._line.send(json.dumps(message))
        while True:
            answer = json.loads(self._line.recv(T))
            if answer.get("id") == number:
                assert "error" not in answer, answer
                return answer["result"]
            if answer.get("method") == "Runtime.exceptionThrown":
                self.errors.append(json.dumps(answer["params"])[:600])
            if answer.get("method") == "Log.entryAdded":
                self.errors.append(answer["params"]["entry"]["text"])

    def show(self, url: str, width: int = 360, height: int = 740, theme: str = "light") -> None:
        """Go to an address."""
        self.size(width, height, theme)
        self.ask("Page.navigate", url=url)

    def size(self, width: int, height: int, theme: str) -> None:
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=2,
            mobile=True,
        )
        self.ask(
            "Emulation.setEmulatedMedia",
            features=[{"name": "prefers-color-scheme", "value": theme}],
        )

    def run(self, script: str) -> Any:
        """Evaluate a script in the page."""
        found = self.ask(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def until(self, condition: str) -> None:
        """Wait until something is true of the page, which is looked at whenever it changes."""
        script = f"""new Promise((done) => {{
            const look = () => {{
                let found = false;
                try {{ found = {condition}; }} catch {{}}
                if (found) {{ watcher.disconnect(); clearTimeout(timer); done(true); }}
                return found;
            }};
            const watcher = new MutationObserver(look);
            const timer = setTimeout(() => {{ watcher.disconnect(); done(false); }}, {T * 500});
            watcher.observe(document, {{
                subtree: true, childList: true, attributes: true, characterData: true }});
            look();
        }})"""
        assert self.run(script), (condition, self.run("document.body.innerText"), self.errors)

    def press(self, text: str) -> None:
        """Press the button with a text, as soon as it is there and can be pressed."""
        button = (
            "[...document.querySelectorAll('button')].find((b) => !b.disabled && "
            f"b.offsetParent !== null && b.textContent === {json.dumps(text)})"
        )
        self.until(f"{button} !== undefined")
        self.run(f"{button}.click()")

    def picture(self, path: Path) -> None:
        """Write what it looks like."""
        data = self.ask("Page.captureScreenshot", format="png")["data"]
        path.write_bytes(base64.b64decode(data))


@contextmanager
def browser(folder: Path) -> Iterator[Tab]:
    """Run a browser with one page."""
    process = subprocess.Popen(
        [
            CHROMIUM,
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--remote-debugging-port=0",
            f"--user-data-dir={folder}",
            "about:blank",
        ],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    try:
        mark = "DevTools listening on "
        url = next(line for line in process.stderr if line.startswith(mark))[len(mark) :].strip()
        with connect(url, max_size=None, compression=None) as line:
            yield Tab(line)
    finally:
        process.terminate()
        process.communicate()
