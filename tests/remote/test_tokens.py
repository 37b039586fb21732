"""Who may come in: the file of tokens."""

from __future__ import annotations

import itertools
import json
import stat
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from freewheel.remote import Role, TokenFile
from small_disk import largest_file


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "of the server" / "tokens.json"


def test_a_token_tells_who_somebody_is(path: Path) -> None:
    tokens = TokenFile(path)
    assert not tokens
    anna, ben = tokens.add("anna"), tokens.add("ben", Role.OBSERVER)
    again = TokenFile(path)
    assert again.client_of(anna) == ("anna", Role.OPERATOR)
    assert again.client_of(ben) == ("ben", Role.OBSERVER)
    for wrong in ("", "nobody", anna[:-1], anna + "x", "\udcff"):
        assert again.client_of(wrong) is None


@pytest.mark.skipif(sys.platform == "win32", reason="rights are other ones there")
def test_its_owner_alone_may_read_the_file(path: Path) -> None:
    tokens = TokenFile(path)
    tokens.add("anna")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o640)
    with pytest.raises(PermissionError, match="chmod 600"):
        TokenFile(path)


def test_nobody_comes_in_by_a_token_that_could_not_be_kept(path: Path) -> None:
    tokens = TokenFile(path)
    anna = tokens.add("anna")
    with largest_file(3), pytest.raises(OSError, match="cannot be written"):
        tokens.add("ben")
    for each in (tokens, TokenFile(path)):
        assert each.client_of(anna) == ("anna", Role.OPERATOR)
    with largest_file(3), pytest.raises(OSError, match="cannot be written"):
        tokens.remove("anna")
    assert tokens.client_of(anna) is not None


def test_who_reads_the_file_cannot_come_in_with_it(path: Path) -> None:
    tokens = TokenFile(path)
    token = tokens.add("anna")
    text = path.read_text()
    assert token not in text
    digest = json.loads(text)["clients"]["anna"]["sha256"]
    assert tokens.client_of(digest) is None


def test_a_change_counts_at_once(path: Path) -> None:
    server, other = TokenFile(path), TokenFile(path)
    token = other.add("anna")
    assert server.client_of(token) is not None
    newer = other.add("anna", "admin")
    assert server.client_of(token) is None
    assert server.client_of(newer) == ("anna", "admin")
    other.remove("anna")
    assert server.client_of(newer) is None
    with pytest.raises(KeyError, match="Nobody is called 'anna'"):
        other.remove("anna")


def test_of_changes_at_once_none_is_lost(path: Path) -> None:
    names = [[f"{who}{number}" for number in range(10)] for who in "abcd"]

    def add(mine: list[str]) -> None:
        tokens = TokenFile(path)  # as another process has one
        for name in mine:
            tokens.add(name)

    with ThreadPoolExecutor(len(names)) as threads:
        list(threads.map(add, names))
    assert {client.name for client in TokenFile(path).clients} == {*itertools.chain(*names)}


@pytest.mark.parametrize(
    "name", ["", "a\nb", "x" * 65, "../up", " begins with a space", "a\x1b[0m"]
)
def test_a_name_is_what_a_log_can_have(path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="cannot be the name"):
        TokenFile(path).add(name)
    with pytest.raises(ValueError, match="there is no role"):
        TokenFile(path).add("anna", "king")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": "freewheel.tokens", "clients": 3}'])
def test_a_file_of_something_else_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "t.json"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(ValueError, match="is no file of tokens"):
        TokenFile(path)
