"""Plans in a real Jupyter kernel."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

PLANS = str(Path(__file__).with_name("plans_at_the_prompt"))
PATIENCE = 60


class Kernel:
    """Runs cells, and collects what they show."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def run(self, code: str) -> dict[str, list[Any]]:
        """Run a cell; return its text, its data and its errors."""
        shown: dict[str, list[Any]] = {"text": [], "data": [], "error": []}
        self.client.execute_interactive(
            code, timeout=PATIENCE, output_hook=lambda msg: _sort(msg, shown), store_history=True
        )
        return shown


def _sort(msg: dict[str, Any], shown: dict[str, list[Any]]) -> None:
    kind, content = msg["msg_type"], msg["content"]
    if kind == "stream":
        shown["text"].append(content["text"])
    elif kind in ("display_data", "update_display_data", "execute_result"):
        shown["data"].append(content["data"])
    elif kind == "error":
        shown["error"].append(f"{content['ename']}: {content['evalue']}")


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    """A kernel with freewheel loaded."""
    manager_module = pytest.importorskip("jupyter_client.manager")
    pytest.importorskip("ipykernel")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IPYTHONDIR", str(tmp_path_factory.mktemp("ipython")))
        patch.setenv("PYTHONPATH", PLANS, prepend=os.pathsep)
        manager, client = manager_module.start_new_kernel(startup_timeout=PATIENCE)
    made = Kernel(client)
    made.run("%load_ext freewheel")
    made.run("from freewheel import RunEngine; import bluesky.plans as bp")
    made.run("from freewheel.sim import microscope; from prompt_plans import nested, bad")
    made.run("RE = RunEngine(); scope = microscope(shape=(16, 16), instant=True)")
    yield made
    client.stop_channels()
    manager.shutdown_kernel()
    client.context.destroy()


pytestmark = [
    pytest.mark.leaks("jupyter_client keeps its threads and loops"),
    pytest.mark.filterwarnings("ignore"),
]


def test_a_plan_is_awaited(kernel: Kernel) -> None:
    shown = kernel.run("(await RE(bp.count([scope.temperature], 3))).exit_status")
    assert not shown["error"]
    assert shown["data"][-1]["text/plain"] == "'success'"


def test_a_future_is_a_card(kernel: Kernel) -> None:
    shown = kernel.run("f = RE(bp.count([scope.temperature], 3)); await f; f")
    (data,) = shown["data"]
    assert "freewheel-card" in data["text/html"]
    assert "completed" in data["text/html"]
    assert data["text/plain"].startswith("<PlanFuture count: completed")


def updates_until(kernel: Kernel, word: str) -> list[str]:
    """What is shown anew, as HTML, beside any cell, until a word is in it."""
    shown: list[str] = []
    while not shown or word not in shown[-1]:
        msg = kernel.client.get_iopub_msg(timeout=PATIENCE)
        if msg["msg_type"] == "update_display_data":
            shown.append(msg["content"]["data"]["text/html"])
    return shown


def test_the_card_of_a_plan_goes_on_after_its_cell(kernel: Kernel) -> None:
    kernel.run("f = RE(bp.count([scope.temperature], 40, delay=0.1))")
    shown = kernel.run("f")
    assert not shown["error"]
    assert "running" in shown["data"][0]["text/html"]
    cards = updates_until(kernel, "completed")
    assert any("/40 points" in card for card in cards)
    assert "<progress" not in cards[-1]
    assert not shown["text"]


def test_the_card_of_a_plan_goes_on_over_a_pause(kernel: Kernel) -> None:
    kernel.run("from prompt_plans import long; f = RE(long())")
    kernel.run("f")
    kernel.run("%pause")
    updates_until(kernel, "paused")
    kernel.run("%stop")
    (card,) = kernel.run("f")["data"]
    assert "stopped" in card["text/html"]


def test_an_engine_is_a_card(kernel: Kernel) -> None:
    (card,) = kernel.run("RE")["data"]
    assert "freewheel-card" in card["text/html"]
    assert "idle" in card["text/html"]
    assert card["text/plain"].startswith("<RunEngine idle")
    kernel.run("f = RE(long()); g = RE(bp.count([scope.temperature]))")
    (card,) = kernel.run("RE")["data"]
    assert "<b>long</b>" in card["text/html"]
    assert "waiting: count" in card["text/html"]
    kernel.run("%stop")
    assert "The last plan: long stopped" in updates_until(kernel, "idle")[-1]


def test_fg_shows_a_card_with_progress(kernel: Kernel) -> None:
    kernel.run("f = RE(bp.count([scope.temperature], 30, delay=0.1))")
    shown = kernel.run("%fg")
    assert not shown["error"]
    cards = [data["text/html"] for data in shown["data"]]
    assert any("<progress" in card and "/30 points" in card for card in cards)
    assert "completed" in cards[-1]
    assert "<progress" not in cards[-1]
    assert "count completed after" in "".join(shown["text"])


def test_magics_and_a_failing_plan(kernel: Kernel) -> None:
    assert "UsageError: No plan is running" in "".join(kernel.run("%stop")["text"])
    shown = kernel.run("await RE(bad())")
    assert shown["error"] == ["ValueError: no light"]
    assert "foreground  nothing" in "".join(kernel.run("%jobs")["text"])


def test_an_interrupt_of_fg_detaches(kernel: Kernel) -> None:
    kernel.run("from prompt_plans import long; f = RE(long())")
    kernel.run("import threading, signal, os, time")
    # The kernel is interrupted as the notebook's stop button does it, when %fg is under way.
    kernel.run(
        "t = threading.Timer(2, lambda: os.kill(os.getpid(), signal.SIGINT)); t.start()\n%fg"
    )
    shown = kernel.run("RE.state")
    assert shown["data"][-1]["text/plain"] == "'running'"
    shown = kernel.run("%abort done with it")
    assert "long aborted" in "".join(shown["text"])


def test_a_preview_is_a_card_and_a_picture(kernel: Kernel) -> None:
    pytest.importorskip("matplotlib")
    shown = kernel.run(
        "%preview bp.grid_scan([scope.camera], scope.stage.x, 0, 4, 3, scope.stage.y, 0, 4, 3)"
    )
    assert not shown["error"]
    card, picture = shown["data"]
    assert "<b>grid_scan</b> about" in card["text/html"]
    assert "moves stage-x 0 … 4 um" in card["text/html"]
    assert "image/png" in picture
