"""Window and commands on an engine elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from bluesky.plans import count

from afar import Cable, T, heard, some_plans, until
from freewheel import RunEngine
from freewheel.cli import main
from freewheel.cli._serve import _FirstToken
from freewheel.plan_stubs import background
from freewheel.plans import live_view
from freewheel.remote import EngineServer, Role, ServerRestartedError, TokenFile, connect


@pytest.fixture
def told(server: EngineServer, tokens: TokenFile, monkeypatch: Any) -> list[str]:
    """Who we are, for commands, and where."""
    monkeypatch.setenv("FREEWHEEL_TOKEN", tokens.add("anna"))
    return ["--connect", server.url]


def test_a_plan_of_the_server_is_run_from_a_terminal(told: list[str], capsys: Any) -> None:
    assert main(["run", *told, "measure", "--detectors", "camera", "--num", "2"]) == 0
    out, err = capsys.readouterr()
    assert out.strip() == "'measured'"
    assert "measure completed" in err
    assert main(["run", *told, "fails", "--text", "no beam"]) == 1
    assert "ValueError: no beam" in capsys.readouterr().err


def test_its_arguments_are_those_of_the_server(told: list[str], capsys: Any) -> None:
    assert main(["run", *told, "measure", "--num", "two"]) == 2
    assert "num: should be a valid integer" in " ".join(capsys.readouterr().err.split())
    assert main(["run", *told, "measure", "--help"]) == 0
    assert "(one of: camera" in capsys.readouterr().out
    assert main(["run", *told, "nothing"]) == 2
    assert "there is no plan 'nothing' there" in capsys.readouterr().err
    assert main(["run", *told, "--preview", "moves", "--device", "stage.x", "--to", "3"]) == 0
    assert "moves stage-x 3 um" in capsys.readouterr().out


def test_what_belongs_to_this_process_is_refused_beside(told: list[str], capsys: Any) -> None:
    assert main(["run", *told, "--sim", "measure"]) == 2
    assert "--sim: the devices and plans with --connect" in capsys.readouterr().err
    for command in ("gui", "shell"):
        assert main([command, *told, "--devices", "lab.py"]) == 2


def test_without_a_token_nobody_connects(told: list[str], monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.delenv("FREEWHEEL_TOKEN")
    assert main(["run", *told, "measure"]) == 2
    assert "there is no token" in capsys.readouterr().err
    assert main(["run", *told, "--token", "wrong", "measure"]) == 2
    assert "There is no such token here" in capsys.readouterr().err


def test_tokens_are_made_and_taken_away(tmp_path: Path, capsys: Any) -> None:
    file = ["--tokens", str(tmp_path / "tokens.json")]
    assert main(["serve", "token", "ben", "--role", "observer", *file]) == 0
    token = capsys.readouterr().out.strip()
    tokens = TokenFile(tmp_path / "tokens.json")
    assert tokens.client_of(token) == ("ben", Role.OBSERVER)
    assert main(["serve", "token", "ben", "--remove", *file]) == 0
    assert tokens.client_of(token) is None
    assert main(["serve", "token", "ben", "--remove", *file]) == 2
    assert main(["serve", "token", "ben", "--role", "king", *file]) == 2
    assert main(["serve", "toke", *file]) == 2


def window_on(remote: Any, qtbot: Any) -> Any:
    """Make a window on an engine elsewhere."""
    pytest.importorskip("qtpy")
    from freewheel.qt import AcquisitionWindow

    window = AcquisitionWindow(remote, dict(remote.devices), remote.plans.entries())
    qtbot.addWidget(window)
    return window


def test_a_window_shows_an_engine_elsewhere_and_leaves_it_running(
    qtbot: Any, remote: Any, engine: RunEngine
) -> None:
    window = window_on(remote, qtbot)
    documents: list[str] = []
    window.bridge.documentReceived.connect(lambda name, doc: documents.append(name))
    form = window.chooser.choose("measure_when_told")
    assert form is not None
    form.set_values({"detectors": ["camera"], "num": 3})
    future = window.bridge.run(form.make_call())
    assert future is not None
    qtbot.waitUntil(lambda: "go" in window.actions.buttons, timeout=T * 1000)
    window.actions.buttons["go"].click()
    qtbot.waitUntil(lambda: documents[-1:] == ["stop"], timeout=T * 1000)
    assert future.result(T).plan_result == "measured"
    assert documents[:2] == ["start", "descriptor"]
    qtbot.waitUntil(lambda: window.image.frame is not None, timeout=T * 1000)

    again = remote(remote.plans.waits())
    until(engine, "actions_changed", lambda: "go" in engine.pending_actions)
    assert not window.busy
    assert window.close()
    assert engine.state == "running"
    assert not again.done()


def test_a_stage_and_settings_elsewhere_are_moved_by_hand(
    qtbot: Any, remote: Any, devices: Any
) -> None:
    window = window_on(remote, qtbot)
    qtbot.waitUntil(lambda: len(window.stage.place) == 3, timeout=T * 1000)
    window.stage.save_position("home")
    assert window.stage.go({"stage.x": 3.0, "stage.y": -1.0})
    qtbot.waitUntil(
        lambda: (window.stage.place["stage.x"], window.stage.place["stage.y"]) == (3, -1),
        timeout=T * 1000,
    )
    window.stage.back()
    qtbot.waitUntil(lambda: window.stage.place["stage.x"] == 0, timeout=T * 1000)
    qtbot.waitUntil(lambda: "camera.gain" in window.presets.readings, timeout=T * 1000)
    window.presets.save("as it is", ["camera.gain", "shutter"])
    window.devices.rows["camera.gain"].set_to(3.0)
    qtbot.waitUntil(lambda: window.presets.readings["camera.gain"] == 3, timeout=T * 1000)
    window.presets.apply("as it is")
    qtbot.waitUntil(lambda: window.presets.readings["camera.gain"] == 1, timeout=T * 1000)
    assert window.close()


def test_blueskys_scans_have_a_table_from_afar(
    qtbot: Any, engine: RunEngine, devices: Any, tokens: Any
) -> None:
    pytest.importorskip("qtpy")
    import bluesky.plans

    from freewheel.qt import PlanForm
    from freewheel.remote import EngineServer, connect

    plans = [bluesky.plans.grid_scan, bluesky.plans.scan]
    with (
        EngineServer(engine, plans=plans, devices=devices, tokens=tokens, port=0) as server,
        connect(server.url, tokens.add("anna", "operator")) as remote,
    ):
        form = PlanForm(remote.plans["grid_scan"].spec, dict(remote.devices))
        qtbot.addWidget(form)
        assert not form.is_valid
        rows = [["stage.y", 0, 1, 2], ["stage.x", 0, 1, 3]]
        form.set_values({"detectors": ["camera"], "args": rows})
        assert form.is_valid, form.obstacles
        assert remote(form.make_call()).result(T).exit_status == "success"
        # As at a prompt, with the number behind the rest.
        stage = remote.devices.stage
        call = remote.plans.scan([remote.devices.camera], stage.x, 0, 1, 3)
        assert remote(call).result(T).exit_status == "success"


def test_who_only_looks_is_told_so_in_the_window(qtbot: Any, join: Any) -> None:
    pytest.importorskip("qtpy")
    from freewheel.qt import EngineBridge

    bridge = EngineBridge(join("ben", "observer"))
    refused: list[Any] = []
    bridge.requestRefused.connect(lambda what, error: refused.append((what, error)))
    assert bridge.stop_all() is None
    ((what, error),) = refused
    assert what == "stop all"
    assert "'ben' is observer here" in str(error)
    bridge.close()


@pytest.mark.servers
def test_a_server_as_a_process_and_its_end(tmp_path: Path) -> None:
    file = str(tmp_path / "tokens.json")
    serving = subprocess.Popen(
        [sys.executable, "-m", "freewheel", "serve", "--port", "0", "--tokens", file],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert serving.stdout is not None
    lines = []
    for line in serving.stdout:
        lines.append(line.strip())
        if "Ctrl-C" in line:
            break
    command = next(line for line in lines if "gui --connect" in line).split()
    with connect(command[3], command[5]) as remote:
        assert remote.role == Role.ADMIN
        future = remote(remote.plans.count([remote.devices.camera], num=2))
        assert future.result(T).exit_status == "success"
        endless = remote(remote.plans.live_view([remote.devices.camera]))
        until(remote, "actions_changed", lambda: "snap" in remote.pending_actions)
        serving.terminate()
        assert serving.wait(T) == 0
        until(remote, "connection_changed", lambda: not remote.connected)
        assert not endless.done()  # it may have been anything: another server may come
    rest = serving.stdout.read()
    serving.stdout.close()
    assert "cleaned up" in rest or "Ending" in rest
    assert re.search(r"^[\d-]+ [\d:]+ info: .+ \(admin\): submit\(", rest, re.MULTILINE)


def test_the_prompt_shows_where_everything_is(remote: Any, devices: Any, capsys: Any) -> None:
    pytest.importorskip("IPython")
    from freewheel.ipython._bluesky_magics import _chosen, _where

    remote.by_hand.set(remote.devices.stage.x, 2.5).result(T)
    here = devices
    devices = _chosen("", dict(remote.devices), "locate")
    local = _chosen("", dict(here), "locate")
    assert [device.name for device in devices] == [device.name for device in local]
    _where(remote, devices)
    assert "stage-x                        2.5            2.5" in capsys.readouterr().out


def test_a_plan_that_others_take_out_of_the_queue_is_said_to_be(
    told: list[str], engine: RunEngine, capsys: Any
) -> None:
    engine.queue.hold("lunch")
    queued = heard(engine.events.queue_changed, lambda waiting: bool(waiting))
    clear = threading.Thread(target=lambda: queued.wait(T) and engine.queue.clear())
    clear.start()
    assert main(["run", *told, "measure"]) == 1
    clear.join()
    err = capsys.readouterr().err
    assert "measure cancelled" in err
    assert "Traceback" not in err


def test_what_another_plan_offers_is_not_for_one_that_waits(
    told: list[str], engine: RunEngine, join: Any, capsys: Any
) -> None:
    other = join("ben")
    first = other(other.plans.waits("lunch"))
    until(other, "actions_changed", lambda: "go" in other.pending_actions)
    queued = heard(engine.events.queue_changed, lambda waiting: bool(waiting))
    looked = threading.Event()

    def clear() -> None:
        queued.wait(T)
        other.queue.clear()
        looked.set()

    clearing = threading.Thread(target=clear)
    clearing.start()
    assert main(["run", *told, "--action", "go", "waits"]) == 1
    clearing.join()
    err = capsys.readouterr().err
    assert "go triggered" not in err
    assert "paused itself" not in err
    assert "waits cancelled" in err
    assert not first.done()


def test_the_queue_shows_what_was_given_and_no_defaults(
    engine: RunEngine, devices: Any, tmp_path: Path
) -> None:
    tokens = TokenFile(tmp_path / "other.json")
    engine.queue.hold("lunch")
    with (
        EngineServer(engine, plans=[count], devices=devices, tokens=tokens, port=0) as server,
        connect(server.url, tokens.add("anna")) as remote,
    ):
        remote(remote.plans.count([remote.devices.camera], num=3))
        (waiting,) = engine.snapshot().waiting
        assert waiting.arguments == "[camera], 3"
        engine.queue.clear()


def test_a_window_runs_a_plan_that_has_actions(
    qtbot: Any, engine: RunEngine, devices: Any, tmp_path: Path
) -> None:
    pytest.importorskip("qtpy")
    from freewheel.qt import EngineBridge, PlanChooser

    tokens = TokenFile(tmp_path / "other.json")
    with (
        EngineServer(engine, plans=[live_view], devices=devices, tokens=tokens, port=0) as server,
        connect(server.url, tokens.add("anna")) as remote,
    ):
        bridge = EngineBridge(remote)
        chooser = PlanChooser(remote.plans.entries(), dict(remote.devices))
        qtbot.addWidget(chooser)
        form = chooser.choose("live_view")
        assert form is not None
        form.set_values({"detectors": ["camera"]})
        view = remote(form.make_call())
        until(remote, "actions_changed", lambda: "snap" in remote.pending_actions or view.done())
        assert view.failure is None
        remote.stop().result(T)
        bridge.close()


def test_a_window_says_that_there_is_no_line(qtbot: Any, remote: Any, server: EngineServer) -> None:
    pytest.importorskip("qtpy")
    from freewheel.qt import EngineBridge, PlanLog, StateLabel

    bridge = EngineBridge(remote)
    label, log = StateLabel(bridge), PlanLog(bridge)
    for widget in (label, log):
        qtbot.addWidget(widget)
    assert label.text() == "idle"
    server.close()
    qtbot.waitUntil(lambda: label.text() == "no line", timeout=T * 1000)
    assert "how it was then" in label.toolTip()
    assert "the line to the engine is lost: The server was closed." in log.text
    bridge.close()


def test_without_a_line_all_that_was_read_is_marked_as_stale(
    qtbot: Any, join: Any, cable: Cable
) -> None:
    pytest.importorskip("qtpy")
    from qtpy.QtWidgets import QLabel

    window = window_on(join(url=cable.url), qtbot)
    rows = window.devices.rows

    def shown() -> dict[str, str]:
        found = {name: rows[name].findChild(QLabel, "readback") for name in rows}
        return {name: label.text() for name, label in found.items() if label is not None}

    read = ("stage.x", "camera.gain", "temperature.readback")
    qtbot.waitUntil(lambda: all(shown().get(name) for name in read), timeout=T * 1000)
    cable.cut()
    mark = "\N{MULTIPLICATION SIGN} "
    qtbot.waitUntil(lambda: all(shown()[n].startswith(mark) for n in read), timeout=T * 1000)
    cable.mend()
    qtbot.waitUntil(lambda: not any(shown()[n].startswith(mark) for n in read), timeout=T * 1000)


def test_without_a_line_nothing_can_be_pressed_in_the_window(
    qtbot: Any, join: Any, cable: Cable
) -> None:
    pytest.importorskip("qtpy")
    from qtpy.QtWidgets import QAbstractButton

    remote = join(url=cable.url)
    window = window_on(remote, qtbot)
    remote(remote.plans.waits())
    qtbot.waitUntil(lambda: "go" in window.actions.buttons, timeout=T * 1000)
    panels = [window.controls, window.actions, window.devices, window.progress, window.queue]
    panels += [window.stage, window.presets]
    tools = [window.bar.findChild(QAbstractButton, name) for name in ("live", "snap", "stop_all")]

    def enabled() -> set[str]:
        return {
            each.objectName() or each.text()
            for each in chain(tools, *(panel.findChildren(QAbstractButton) for panel in panels))
            if each.isEnabled()
        }

    before = enabled()
    assert {"stop", "stop_all", "action:go", "live", "snap"} <= before
    cable.cut()
    qtbot.waitUntil(lambda: enabled() == set(), timeout=T * 1000)
    cable.mend()
    qtbot.waitUntil(lambda: enabled() == before, timeout=T * 1000)
    window.actions.buttons["go"].click()
    qtbot.waitUntil(lambda: "go" not in remote.pending_actions, timeout=T * 1000)


def test_live_begins_with_one_click_after_a_restart_of_the_server(
    qtbot: Any, tokens: TokenFile, devices: Any
) -> None:
    pytest.importorskip("qtpy")
    from qtpy.QtWidgets import QAbstractButton

    plans, refused = [live_view], []
    options = {"plans": plans, "devices": devices, "tokens": tokens, "port": 0}
    with RunEngine() as first, EngineServer(first, **options) as server:
        cable = Cable(server.port)
        anna = connect(cable.url, tokens.add("anna", "operator"))
        window = window_on(anna, qtbot)
        window.bridge.requestRefused.connect(lambda what, error: refused.append(str(error)))
        live = window.bar.findChild(QAbstractButton, "live")
        live.click()
        qtbot.waitUntil(lambda: window.image.frame is not None, timeout=T * 1000)
        (gone,) = anna.background.running
        cable.cut()
    with RunEngine() as second, EngineServer(second, **options) as server:
        cable.lead_to(server.port)
        cable.mend()
        qtbot.waitUntil(lambda: live.isEnabled() and not live.isChecked(), timeout=T * 1000)
        assert isinstance(gone.exception(T), ServerRestartedError)
        assert gone.status == "failed"
        live.click()
        qtbot.waitUntil(lambda: len(second.background.running) == 1, timeout=T * 1000)
        qtbot.waitUntil(live.isChecked, timeout=T * 1000)
        (new,) = anna.background.running
        assert new is not gone  # though the servers call them alike
        assert new.key == gone.key
        assert not new.done
        live.click()
        qtbot.waitUntil(lambda: not live.isChecked(), timeout=T * 1000)
        assert new.future.exception(T) is None or new.status == "cancelled"
        assert refused == []
        window.bridge.close()
        anna.close()
        cable.close()


def test_a_role_that_may_not_is_told_so_at_the_prompt_in_a_line(join: Any) -> None:
    pytest.importorskip("IPython")
    from IPython.core.error import UsageError

    from freewheel.ipython._magics import asked

    observer = join("ben", "observer")
    with pytest.raises(UsageError, match="'ben' is observer here, and 'stop_all' needs the role"):
        asked(observer.stop_all)


def test_a_plan_that_a_role_may_not_run_is_one_line_at_the_prompt(join: Any, capsys: Any) -> None:
    pytest.importorskip("IPython")
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell()
    shell.push({"RE": join("ben", "observer")})
    shell.run_cell("RE(RE.plans.measure())")
    said = capsys.readouterr().out.strip()
    assert said.startswith("NotAllowedError: 'ben' is observer here")
    assert len(said.splitlines()) == 1


def test_what_another_clients_task_offers_is_not_told(
    told: list[str], join: Any, engine: RunEngine, capsys: Any
) -> None:
    ben = join("ben")
    task = ben.background.launch(ben.plans.waits(), name="his")
    until(engine, "actions_changed", lambda: "go" in engine.pending_actions)
    assert main(["run", *told, "lit", "--action", "light", "--action", "light"]) == 0
    assert "action go" not in capsys.readouterr().err
    assert not task.done
    task.cancel()


def test_what_a_task_of_its_own_offers_is_told(
    tmp_path: Path, engine: RunEngine, monkeypatch: Any, capsys: Any
) -> None:
    lit = some_plans()["lit"]

    def starts_lit() -> Any:
        yield from background(lit(), name="lamp")

    tokens = TokenFile(tmp_path / "other.json")
    with EngineServer(engine, plans=[starts_lit], tokens=tokens, port=0) as server:
        monkeypatch.setenv("FREEWHEEL_TOKEN", tokens.add("anna"))
        there = ["--connect", server.url, "--action", "light", "--action", "light"]
        assert main(["run", *there, "starts_lit"]) == 0
    assert capsys.readouterr().err.count("light triggered.") == 2


def test_a_server_that_has_no_admin_makes_one(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("LOGNAME", "anna")
    tokens = TokenFile(tmp_path / "tokens.json")
    hers = tokens.add("anna", "operator")
    first = _FirstToken(tokens)
    token = first.show()
    assert token is not None
    assert tokens.client_of(token) == ("anna-admin", Role.ADMIN)
    assert tokens.client_of(hers) == ("anna", Role.OPERATOR)
    assert _FirstToken(tokens).show() is None
