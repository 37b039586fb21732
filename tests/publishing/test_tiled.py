"""To a Tiled server that is slow, fails, or goes away: no plan notices."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from bluesky.plans import scan
from ophyd.sim import det, motor

from brokers import Relay, run_of, uids
from freewheel.publishing import PublishingError, send_runs
from freewheel.publishing import _sender as sender
from freewheel.recording import Recorder, read_runs, read_tiled_runs, tiled_server

pytest.importorskip("tiled.server")
pytestmark = [
    pytest.mark.servers,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

FAILURE = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with tiled_server(tmp_path_factory.mktemp("tiled")) as running:
        yield running


@pytest.fixture(autouse=True)
def one_attempt() -> Iterator[None]:
    """Tiled's client tries for half a minute before it believes an error."""
    stamina = pytest.importorskip("stamina")
    stamina.set_testing(True, attempts=1)
    yield
    stamina.set_testing(False)


@pytest.fixture
def relay(server: Any) -> Iterator[Relay]:
    made = Relay(server.port)
    yield made
    made.close()


@pytest.fixture
def address(server: Any, relay: Relay) -> str:
    query = urlsplit(server.uri).query
    return f"tiled://127.0.0.1:{relay.port}?{query}&arrays={server.directory / 'arrays'}"


def in_tiled(server: Any, uid: str) -> Any:
    (run,) = [run for run in read_tiled_runs(server.uri) if run.uid == uid]
    return run


def events_of(run: Any) -> list[Any]:
    return [doc for name, doc in run.documents() if name == "event"]


def test_runs_are_there(publish: Any, address: str, server: Any) -> None:
    publisher = publish(address)
    numbers, frames = run_of(3), run_of(2, lambda number: np.full((8, 9), number, "u2"))
    publisher.take_batch([each for pair in zip(numbers, frames, strict=False) for each in pair])
    publisher.take_batch([*numbers[len(frames) :], *frames[len(numbers) :]])
    status = publisher.wait(30)
    assert (status.sent, status.unsent) == (len(numbers) + len(frames), 0)
    run = in_tiled(server, uids(numbers)[0])
    assert run.complete
    assert [event["data"]["x"] for event in events_of(run)] == [0.0, 1.0, 2.0]
    np.testing.assert_array_equal(
        events_of(in_tiled(server, uids(frames)[0]))[1]["data"]["x"], np.full((8, 9), 1)
    )


def test_a_slow_server_keeps_no_plan_waiting(
    publish: Any, address: str, relay: Relay, server: Any, engine: Any
) -> None:
    """It holds on to its first answer until two plans are over."""
    relay.open.clear()
    publisher = publish(address)
    publisher.attach(engine)
    assert relay.asked.wait(30)
    runs = [engine(scan([det], motor, 0, 1, 4)).result(30).run_start_uids[0] for _ in range(2)]
    status = publisher.status
    assert (status.waiting, status.sent) == (14, 0)
    assert status.behind > 0
    relay.open.set()
    status = publisher.wait(30)
    assert (status.sent, status.unsent, status.waiting) == (14, 0, 0)
    assert all(in_tiled(server, uid).complete for uid in runs)


def test_a_server_that_does_not_answer_is_said_to_be_slow_though_nothing_more_comes(
    publish: Any, address: str, relay: Relay, said: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender, "_LATE", 0.2)
    relay.open.clear()
    publisher = publish(address)
    publisher.take_batch(run_of(1))
    said.wait_for("is slow: it is")
    relay.open.set()
    assert publisher.wait(30).sent == 4
    said.wait_for("has caught up")


def test_what_was_too_slow_to_the_end_is_kept(
    publish: Any, address: str, relay: Relay, said: Any, server: Any
) -> None:
    publisher = publish(address)
    publisher.wait(30)
    documents = run_of(2)
    publisher.take_batch(documents[:2])
    publisher.wait(30)
    relay.open.clear()
    publisher.take_batch(documents[2:])
    status = publisher.close(timeout=0)
    assert status.kept == (uids(documents)[0],)
    assert "nobody waited for it. It is kept: " in said.wait_for("of the 5 documents of the run")
    relay.answer = FAILURE  # to what it may have asked by now, or the rest arrives after all
    relay.open.set()
    publisher.close(timeout=30)  # which waits for the end of its thread
    relay.answer = None
    # Half of it is in the catalogue: sent again, it is there whole.
    (place,) = Path("freewheel-unsent").iterdir()
    (run,) = read_runs(place)
    assert uids(run.documents()) == uids(documents)
    assert [sent for _, sent in send_runs([run], address)] == [len(documents)]
    again = in_tiled(server, uids(documents)[0])
    assert again.complete
    assert [event["data"]["x"] for event in events_of(again)] == [0.0, 1.0]


def test_errors_in_a_run_keep_it_and_the_next_is_sent(
    publish: Any, address: str, relay: Relay, said: Any, server: Any
) -> None:
    publisher = publish(address, batch_size=1)
    bad, good = run_of(4), run_of(2)
    publisher.take_batch(bad[:3])
    publisher.wait(30)
    relay.answer = FAILURE
    publisher.take_batch(bad[3:])
    said.wait_for("is not there: HTTPStatusError: Server error '500 Internal Server Error'")
    relay.answer = None
    publisher.take_batch(good)
    status = publisher.wait(30)
    assert (status.sent, status.unsent) == (3 + len(good), len(bad) - 3)
    assert status.kept == (uids(bad)[0],)
    assert in_tiled(server, uids(good)[0]).complete
    (run,) = read_runs(next(Path("freewheel-unsent").iterdir()))
    assert uids(run.documents()) == uids(bad)


def test_a_run_that_is_there_already_is_refused(
    publish: Any, address: str, said: Any, server: Any
) -> None:
    """That is no reason to try it again, nor to try later ones less."""
    publisher = publish(address)
    documents, other = run_of(1), run_of(1)
    for each in (documents, documents, other):
        publisher.take_batch(each)
        status = publisher.wait(30)
    assert (status.sent, status.unsent, status.kept) == (8, 4, (uids(documents)[0],))
    assert "a document (start) was refused: ClientError: 409" in said.wait_for("4 of the 4")
    assert in_tiled(server, uids(other)[0]).complete


def test_a_wrong_key_is_said(publish: Any, relay: Relay, said: Any) -> None:
    publish(f"tiled://127.0.0.1:{relay.port}?api_key=wrong")
    assert "401" in said.wait_for("is not there: ")


def test_no_key_is_said_in_one_line(
    publish: Any, relay: Relay, said: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TILED_API_KEY", raising=False)
    address = f"tiled://127.0.0.1:{relay.port}"
    publish(address)
    assert "wants an API key: give it as ?api_key=KEY" in said.wait_for("is not there: ")
    with pytest.raises(PublishingError, match="is not there: the Tiled server wants an API key"):
        next(send_runs([], address))


def test_nobody_there(publish: Any, said: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    publisher = publish("tiled://127.0.0.1:9?api_key=secret")
    assert "Connection refused" in said.wait_for("is not there: ")
    publisher.take_batch(run_of(1))
    assert publisher.close().unsent == 4
    assert "secret" not in caplog.text


def test_a_recorder_discards_a_run(folder: Path) -> None:
    recorder = Recorder("recording", inline_limit=1)
    runs = [run_of(2, lambda number: np.full(9, number)) for _ in range(2)]
    for documents in runs:
        recorder.take_batch(documents)
    recorder.discard(uids(runs[0])[0])
    recorder.close()
    assert [run.uid for run in read_runs("recording")] == [uids(runs[1])[0]]
    assert len(list(Path("recording").iterdir())) == 3
