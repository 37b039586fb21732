"""``freewheel shell --connect``, as a process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("websockets")

from bluesky import plan_stubs as bps
from bluesky.plans import count

from freewheel import RunEngine
from freewheel.remote import EngineServer, TokenFile
from freewheel.sim import microscope


@pytest.mark.servers
def test_magics_move_and_count_on_an_engine_elsewhere(
    engine: RunEngine, new_terminal: Any, tmp_path: Path
) -> None:
    tokens = TokenFile(tmp_path / "tokens.json")
    plans, devices = [count, bps.mv], microscope(shape=(32, 32), instant=True)
    with EngineServer(engine, plans=plans, devices=devices, tokens=tokens, port=0) as server:
        shell = new_terminal(
            *("-m", "freewheel", "shell", "--connect", server.url),
            FREEWHEEL_TOKEN=tokens.add("anna"),
        )
        shell.wait("RE is the engine at")
        shell.run("%mov stage.x 3 stage.y 1")
        shell.run("%wa stage.x stage.y", r"stage-x\s+3\.0", r"stage-y\s+1\.0")
        shell.run("%mov stage.x", "UsageError: Name devices, each with a position")
        shell.run("%movr stage.x 1", "UsageError: There is no plan 'mvr' there")
        shell.run("%ct temperature camera", r"temperature\s+\d", r"camera-image\s+array \(")
        shell.run("RE.state", "idle")
        shell.start("exit")
        assert shell.end() == 0
        assert engine.state == "idle"
        assert not engine.closed
