"""Starts of ``freewheel serve`` that cannot be."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
import typer
from bluesky.utils import Plan

from freewheel import RunEngine
from freewheel.cli import main
from freewheel.remote import EngineServer, TokenFile

pytestmark = pytest.mark.servers  # with those, for the README's command is to stay short


def ended(*words: str) -> int:
    return main(["serve", "--port", "0", *words])


def test_a_token_that_nobody_was_shown_is_taken_back(tmp_path: Path, capsys: Any) -> None:
    file = tmp_path / "tokens.json"
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = str(busy.getsockname()[1])
        assert ended("--tokens", str(file), "--port", port) == 1
    assert "cannot be served" in capsys.readouterr().err
    assert not TokenFile(file)


def test_a_certificate_that_is_none_is_told_at_once(
    engine: RunEngine, tmp_path: Path, capsys: Any
) -> None:
    none = tmp_path / "none.pem"
    none.write_text("none")
    tokens = str(tmp_path / "tokens.json")
    assert ended("--tokens", tokens, "--certificate", str(none), "--key", str(none)) == 1
    told = capsys.readouterr()
    assert "certificate" in told.err
    assert "Serving" not in told.out
    pair = {"certfile": str(none), "keyfile": str(none)}
    with pytest.raises(OSError, match="certificate"):
        EngineServer(engine, tokens=tokens, port=0, ssl=pair).start()


@pytest.mark.parametrize("option", ["--tokens", "--record"])
def test_where_nothing_can_be_written_is_told_in_a_line(
    tmp_path: Path, capsys: Any, option: str
) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    tokens = str(tmp_path / "tokens.json")
    where = {"--tokens": tokens} | {option: str(tmp_path / "link" / "x")}
    words = [word for pair in where.items() for word in pair]
    assert ended(*words) == 2
    assert option in capsys.readouterr().err
    assert not TokenFile(tokens)


@pytest.mark.parametrize("options", [[], ["--stacks"]])
def test_a_server_remembers_call_sites(
    options: list[str], tmp_path: Path, monkeypatch: Any
) -> None:
    plain = Plan.__init__
    seen: list[object] = []

    def cannot_start(*_: Any, **__: Any) -> None:
        seen.append(Plan.__init__)
        raise typer.Exit(1)

    monkeypatch.setattr("freewheel.cli._serve._server", cannot_start)
    assert ended("--tokens", str(tmp_path / "tokens.json"), *options) == 1
    assert [each is plain for each in seen] == [bool(options)]
    assert Plan.__init__ is plain
