"""Documents to brokers that are there, come late, die and come back."""

from __future__ import annotations

import gc
import threading
from pathlib import Path
from typing import Any

import bluesky.plan_stubs as bps
import numpy as np
import pytest
from bluesky.plans import count, scan
from ophyd.sim import det, motor

from brokers import run_of, uids
from freewheel.publishing import PublishingError, send_runs
from freewheel.recording import Recorder, read_runs

pytestmark = [
    # Of the publishers' own packages.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


def kept_of(publisher: Any) -> Path:
    (place,) = Path("freewheel-unsent").iterdir()
    return place


def test_all_arrives_in_order(broker: Any, publish: Any, engine: Any, documents: Any) -> None:
    broker.start()
    publisher = publish(broker.url)
    publisher.attach(engine)
    emitted: list[Any] = []
    engine.subscribe(lambda name, doc: emitted.append((name, dict(doc))))
    engine(scan([det], motor, 0, 1, 5)).result(30)
    engine(count([det], 3)).result(30)
    status = publisher.wait(30)
    assert (status.sent, status.unsent, status.kept) == (len(emitted), 0, ())
    assert status.connected
    heard = broker.heard(emitted[-1][1]["uid"])
    assert [name for name, _ in heard] == [name for name, _ in emitted]
    assert uids(heard) == uids(emitted)
    assert not Path("freewheel-unsent").exists()


def test_runs_may_be_interleaved(broker: Any, publish: Any) -> None:
    broker.start()
    publisher = publish(broker.url)
    mixed = [each for pair in zip(run_of(3), run_of(3), strict=True) for each in pair]
    publisher.take_batch(mixed)
    assert publisher.wait(30).sent == len(mixed)
    assert uids(broker.heard(uids(mixed)[-1])) == uids(mixed)


def test_who_comes_late_gets_what_waited(broker: Any, publish: Any, said: Any) -> None:
    publisher = publish(broker.url)
    said.wait_for("is not there: ")
    documents = run_of(4)
    publisher.take_batch(documents)
    assert publisher.status.waiting == len(documents)
    broker.start()
    assert publisher.wait(30).sent == len(documents)
    said.wait_for("is there now; ")
    if broker.url.startswith("zmq:"):
        return  # whether the proxy knew of the listener by then is not ours to say
    assert uids(broker.heard(uids(documents)[-1])) == uids(documents)


def test_a_broker_that_dies_and_comes_back(broker: Any, publish: Any, said: Any) -> None:
    """In the middle of a run: what comes after arrives, what may be lost is in the recording."""
    broker.start()
    publisher = publish(broker.url)
    documents = run_of(20)
    publisher.take_batch(documents[:8])
    publisher.wait(30)
    broker.kill()
    publisher.take_batch(documents[8:12])
    said.wait_for("is not there: ")
    broker.start()
    said.wait_for("is there now; ")
    publisher.wait(30)
    publisher.take_batch(documents[12:])
    status = publisher.wait(30)
    assert (status.sent, status.unsent) == (len(documents), 0)
    heard = uids(broker.heard(uids(documents)[-1]))
    assert heard[-len(documents[12:]) :] == uids(documents[12:])
    if broker.url.startswith("zmq:"):  # which does not say what has arrived
        assert status.kept == (documents[0][1]["uid"],)
        said.wait_for("may not have arrived: the proxy has gone. It is kept: freewheel replay ")
        (run,) = read_runs(kept_of(publisher))
        assert run.complete
        assert uids(run.documents()) == uids(documents)
    else:
        assert status.kept == ()
        assert uids(documents[8:])[-12:] == heard[-12:]


def test_nobody_there_to_the_end(broker: Any, publish: Any, said: Any) -> None:
    publisher = publish(broker.url)
    runs = [run_of(2), run_of(3)]
    for documents in runs:
        publisher.take_batch(documents)
    status = publisher.close()
    assert not status.connected
    assert status.problem
    assert (status.sent, status.unsent, status.waiting) == (0, 11, 0)
    assert status.kept == tuple(documents[0][1]["uid"] for documents in runs)
    said.wait_for("5 of the 5 documents of the run")
    said.wait_for("1 runs more were not sent. It is kept: freewheel replay freewheel-unsent")
    kept = read_runs(kept_of(publisher))
    assert [uids(run.documents()) for run in kept] == [uids(documents) for documents in runs]

    broker.start()
    assert [sent for _, sent in send_runs(kept, broker.url)] == [5, 6]
    assert len(broker.heard(uids(runs[1])[-1])) == 11


def test_sending_later_to_nobody_says_so(broker: Any) -> None:
    recorder = Recorder("recording")
    recorder.take_batch(run_of(1))
    recorder.close()
    with pytest.raises(PublishingError, match=r"127.0.0.1:\d+.* is not there: "):
        list(send_runs(read_runs("recording"), broker.url))


def test_arrays(broker: Any, publish: Any) -> None:
    broker.start()
    publisher = publish(broker.url)
    documents = run_of(2, lambda number: np.full((4, 3), number, "u2"))
    publisher.take_batch(documents)
    assert publisher.wait(30).sent == len(documents)
    heard = broker.heard(uids(documents)[-1])
    np.testing.assert_array_equal(heard[-2][1]["data"]["x"], np.full((4, 3), 1))


@pytest.mark.parametrize("kind", ["nats", "kafka"])
@pytest.mark.servers
def test_a_document_that_is_too_large_is_refused(
    kind: str, make_broker: Any, publish: Any, said: Any
) -> None:
    """The others go on, and the run is kept."""
    broker = make_broker(kind)
    broker.start()
    publisher = publish(broker.url)
    documents = run_of(3, lambda number: np.zeros((2 << 20) if number == 1 else 1, "u1"))
    publisher.take_batch(documents)
    status = publisher.wait(30)
    assert (status.sent, status.unsent) == (len(documents) - 1, 1)
    assert status.kept == (documents[0][1]["uid"],)
    assert "1 of the 6 documents of the run" in said.wait_for("a document (event) was refused: ")
    assert "event" in [name for name, _ in broker.heard(uids(documents)[-1])]


def test_what_cannot_be_serialized_is_refused(broker: Any, publish: Any, said: Any) -> None:
    broker.start()
    publisher = publish(broker.url, keep=None)
    documents = run_of(2)
    documents[2][1]["data"]["x"] = threading.Lock()
    publisher.take_batch(documents)
    status = publisher.wait(30)
    assert (status.sent, status.unsent) == (len(documents) - 1, 1)
    assert "a document (event) was refused" in said.wait_for("1 of the 5 documents")


class Leaving:
    """A value that ends whatever thread looks into it."""

    def __reduce__(self) -> str:
        raise SystemExit(3)


def test_a_value_that_would_end_the_thread_is_refused(
    make_broker: Any, publish: Any, said: Any
) -> None:
    broker = make_broker("zmq")
    broker.start()
    publisher = publish(broker.url, keep=None)
    documents = run_of(2)
    documents[2][1]["data"]["x"] = Leaving()
    publisher.take_batch(documents)
    status = publisher.wait(30)
    assert (status.sent, status.unsent, status.waiting) == (len(documents) - 1, 1, 0)
    assert "a document (event) was refused: SystemExit: 3" in said.wait_for("1 of the 5 documents")


def test_a_name_that_can_be_none_is_nobody() -> None:
    with pytest.raises(PublishingError, match=r"zmq://a..b:5577 is not there: "):
        list(send_runs([], "zmq://a..b:5577"))


@pytest.mark.servers
def test_a_server_that_stands_still_leaves_nothing_behind(
    make_broker: Any,
    publish: Any,
    said: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """And gets everything when it goes on."""
    monkeypatch.setattr("freewheel.publishing._nats._PATIENCE", 0.3)
    broker = make_broker("nats")
    broker.start()
    publisher = publish(broker.url)
    documents = run_of(3)
    publisher.take_batch(documents[:3])
    assert publisher.wait(30).sent == 3
    broker.stand_still()
    publisher.take_batch(documents[3:])
    said.wait_for("is not there: ")
    broker.go_on()
    assert publisher.wait(30).sent == len(documents)
    assert uids(broker.heard(uids(documents)[-1])) == uids(documents)
    gc.collect()
    assert "Task was destroyed" not in caplog.text


@pytest.mark.servers
def test_a_server_without_a_stream_says_what_to_do(
    make_broker: Any, publish: Any, said: Any
) -> None:
    broker = make_broker("nats")
    broker.start(with_stream=False)
    publisher = publish(broker.url)
    said.wait_for("no JetStream stream for lab.documents.start; make one with the subjects")
    documents = run_of(1)
    publisher.take_batch(documents)
    broker.make_stream()
    assert publisher.wait(30).sent == len(documents)
    assert uids(broker.heard(uids(documents)[-1])) == uids(documents)


@pytest.mark.servers
def test_a_server_without_jetstream_says_what_to_do(
    make_broker: Any, publish: Any, said: Any
) -> None:
    broker = make_broker("nats")
    broker.start(with_jetstream=False)
    publish(broker.url)
    said.wait_for("the server runs without JetStream; start it as nats-server -js")


def test_a_plan_does_not_notice(publish: Any, engine: Any, said: Any) -> None:
    """Nobody is there: the plan ends, the next one begins, and an exception reaches neither."""
    publisher = publish("zmq://127.0.0.1:9")
    publisher.attach(engine)
    for _ in range(2):
        assert engine(count([det], 2)).result(30).exit_status == "success"
    assert publisher.status.waiting == 10

    def paused() -> Any:
        yield from bps.open_run()
        yield from bps.close_run()

    engine(paused()).result(30)
    assert publisher.close().unsent == 12
