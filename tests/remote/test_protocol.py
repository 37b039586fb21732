"""The line's language: what is written is read again, and what is no message is refused."""

from __future__ import annotations

import random
import re
from pathlib import Path

import msgspec
import numpy as np
import pytest
from bluesky.run_engine import TransitionError

from freewheel.core import InterlockError, NotStoppedError, ResourceConflictError
from freewheel.remote import ProtocolError, RemoteError
from freewheel.remote._faults import error_of, fault_of
from freewheel.remote._protocol import Answer, Call, Document, Hello, News
from freewheel.remote._roles import VERBS
from freewheel.remote._verbs import _SHAPES
from freewheel.remote._wire import DeviceName, from_client, from_server, to_client, to_server


def test_messages_are_read_as_they_were_written() -> None:
    hello = Hello(1, "a token", "a test", "session", "server", 7)
    assert from_client(to_server(hello)) == hello
    call = Call(3, "submit", {"call": {"plan": "count", "args": [[DeviceName("camera")], 2.5]}})
    assert from_client(to_server(call)) == call
    news = News(9, {"state": "idle"}, [["state", "idle", "running"]])
    assert from_server(to_client(news)) == news


@pytest.mark.parametrize("dtype", ["<u2", ">i4", "<f8", "|b1", "<U5", "<c16"])
def test_arrays_come_as_they_were(dtype: str) -> None:
    array = np.arange(12).astype(dtype).reshape(3, 4)
    document = from_server(to_client(Document(1, "event", {"data": {"image": array[:, ::2]}})))
    assert isinstance(document, Document)
    came = document.doc["data"]["image"]
    assert came.dtype == array.dtype
    np.testing.assert_array_equal(came, array[:, ::2])
    came[0, 0] = came[0, 1]  # it may be written to


def test_a_server_sends_what_it_can_of_anything() -> None:
    class Odd:
        name = "odd"

        def read(self) -> None: ...

    answer = from_server(to_client(Answer(1, [Odd(), {1, 2}, np.float32(0.5), object])))
    assert isinstance(answer, Answer)
    assert answer.value == ["odd", [1, 2], 0.5, "<class 'object'>"]


@pytest.mark.parametrize("value", [object(), print, lambda: 1, 2**80])
def test_a_client_sends_nothing_but_values(value: object) -> None:
    with pytest.raises(TypeError, match="cannot be sent"):
        to_server(Call(1, "hand_set", {"value": value}))


def test_fields_that_are_not_known_are_skipped() -> None:
    newer = msgspec.msgpack.encode({"type": "call", "id": 1, "verb": "stop", "colour": "red"})
    assert from_client(newer) == Call(1, "stop")


def test_garbage_is_no_message() -> None:
    random.seed(20)
    whole = to_server(Call(1, "submit", {"call": {"plan": "count"}, "value": np.zeros(9)}))
    for _ in range(2_000):
        cut = whole[: random.randrange(len(whole))]
        for data in (cut, random.randbytes(random.randrange(200))):
            with pytest.raises(ProtocolError):
                from_client(data)


@pytest.mark.parametrize("kind", ["|O", "V8", "O", "<i8,O", "nonsense"])
def test_an_array_of_objects_is_refused(kind: str) -> None:
    head = msgspec.msgpack.encode((kind, (1,)))
    ext = msgspec.msgpack.Ext(2, len(head).to_bytes(2) + head + bytes(8))
    data = msgspec.msgpack.encode({"type": "call", "id": 1, "verb": "x", "args": {"value": ext}})
    with pytest.raises(ProtocolError):
        from_client(data)


def test_what_is_nested_too_deeply_is_refused() -> None:
    deep = b"\x91" * 200_000
    with pytest.raises(ProtocolError):
        from_client(deep)


@pytest.mark.parametrize(
    "error",
    [
        KeyError("There is no plan 'x'."),
        TransitionError("it is idle"),
        ResourceConflictError("stage-x", "scan", "anna", "stage"),
        InterlockError("door", "it is open", "set", "shutter", "scan"),
        NotStoppedError(["stage-x: it hangs"]),
    ],
)
def test_an_error_is_the_same_on_the_other_side(error: BaseException) -> None:
    again = error_of(fault_of(error))
    assert type(again) is type(error)
    assert str(again) == str(error)


def test_an_error_of_somebodys_own_keeps_its_name() -> None:
    class BeamLost(RuntimeError):  # noqa: N818
        pass

    again = error_of(fault_of(BeamLost("no beam")))
    assert isinstance(again, RemoteError)
    assert (again.kind, str(again)) == ("BeamLost", "BeamLost: no beam")


def test_one_of_a_known_kind_is_of_that_kind() -> None:
    class NoSuchMotorError(KeyError):
        pass

    assert isinstance(error_of(fault_of(NoSuchMotorError("motor"))), KeyError)


def test_the_page_has_all_verbs_with_their_roles_and_arguments() -> None:
    page = (Path(__file__).parents[2] / "docs/reference/remote-protocol.md").read_text()
    written = {}
    for verb, role, arguments in re.findall(r"^\| `(\w+)` \| (\w+) \| ([^|:]*)", page, re.M):
        names = {
            each.rstrip("="): each.endswith("=") for each in re.findall(r"`(\S+?)`", arguments)
        }
        written[verb] = (role, names)
    for verb, role in VERBS.items():
        shape = msgspec.structs.fields(_SHAPES[verb])
        names = {field.encode_name: not field.required for field in shape}
        assert written.pop(verb) == (str(role), names)
    assert not written
