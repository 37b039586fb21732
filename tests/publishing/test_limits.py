"""What waits is bounded, what is copied too, and what is left at the end is kept."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from brokers import run_of, uids
from freewheel.publishing import _keeper as keeper
from freewheel.publishing import _sender as sender
from freewheel.recording import Recorder, read_runs

pytest.importorskip("zmq")

NOBODY = "zmq://127.0.0.1:9"
KEPT = Path("freewheel-unsent/zmq-127.0.0.1-9")


def first(documents: Any) -> str:
    uid: str = documents[0][1]["uid"]
    return uid


def test_a_full_line_keeps_the_run_that_does_not_fit(
    make_broker: Any, publish: Any, said: Any
) -> None:
    """What waited before is sent when the broker comes, and the run after that."""
    broker = make_broker("zmq")
    publisher = publish(broker.url, max_documents=10)
    early, long, late = run_of(2), run_of(20), run_of(1)
    publisher.take_batch(early)
    publisher.take_batch(long)
    line = said.wait_for("23 of the 23 documents of the run")
    assert "more than 10 documents, or 256 MB, waited for it" in line
    broker.start()
    assert publisher.wait(30).sent == len(early)
    publisher.take_batch(late)
    status = publisher.wait(30)
    assert (status.sent, status.unsent) == (len(early) + len(late), len(long))
    assert status.kept == (first(long),)
    (run,) = read_runs(next(Path("freewheel-unsent").iterdir()))
    assert uids(run.documents()) == uids(long)
    assert uids(broker.heard(uids(late)[-1]))[-len(late) :] == uids(late)


def test_arrays_fill_the_line_too(publish: Any, said: Any) -> None:
    publisher = publish(NOBODY, max_bytes=1000)
    frames = run_of(3, lambda number: np.full(400, number, "u1"))
    publisher.take_batch(frames)
    assert "6 of the 6 documents" in said.wait_for("waited for it")
    (run,) = read_runs(KEPT)
    assert uids(run.documents()) == uids(frames)


def test_a_long_run_is_copied_to_disk_until_it_is_sent(
    make_broker: Any, publish: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "_MAX_DOCUMENTS", 5)
    broker = make_broker("zmq")
    publisher = publish(broker.url)
    documents = run_of(20)
    publisher.take_batch(documents[:-1])
    (place,) = Path("freewheel-unsent").iterdir()
    assert (place / f"{first(documents)}.jsonl").exists()
    broker.start()
    publisher.take_batch(documents[-1:])
    publisher.wait(30)
    status = publisher.close()
    assert (status.sent, status.kept) == (len(documents), ())
    assert not place.exists()


def test_a_run_is_kept_though_the_disk_refuses(
    publish: Any, said: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is lost, then; that is said, and the plan does not notice."""
    Path("unsent").write_text("no directory")
    publisher = publish(NOBODY, keep="unsent")
    publisher.take_batch(run_of(2))
    assert publisher.close().unsent == 5
    said.wait_for("which is to be kept, cannot be recorded: cannot record here")


def test_without_keeping_nothing_is_written(publish: Any, said: Any, folder: Path) -> None:
    publisher = publish(NOBODY, keep=None)
    publisher.take_batch(run_of(2))
    assert publisher.close().unsent == 5
    assert "kept" not in said.wait_for("5 of the 5 documents")
    assert not list(folder.iterdir())


def test_a_recorder_that_has_it_all_need_not_keep_it(publish: Any, said: Any) -> None:
    recorder = Recorder("all")
    publisher = publish(NOBODY, keep=recorder)
    documents = run_of(2)
    for each in (recorder, publisher):
        each.take_batch(documents)
    publisher.close()
    recorder.close()
    assert f"replay all --run {first(documents)[:8]} --publish" in said.wait_for("It is kept")
    (run,) = read_runs("all")
    assert uids(run.documents()) == uids(documents)


def test_what_comes_after_the_close_is_counted(publish: Any) -> None:
    publisher = publish(NOBODY)
    publisher.close()
    publisher.take_batch(run_of(1))
    assert publisher.status.unsent == 4
    assert publisher.close().unsent == 4


def test_the_same_run_twice_is_sent_twice(make_broker: Any, publish: Any) -> None:
    broker = make_broker("zmq")
    broker.start()
    publisher = publish(broker.url)
    documents = run_of(1)
    publisher.take_batch([*documents, *documents])
    assert publisher.wait(30).sent == 8
    assert publisher.close().kept == ()


def test_being_late_is_said_once_and_its_end(
    make_broker: Any, publish: Any, said: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender, "_LATE", 0.0)
    broker = make_broker("zmq")
    broker.start()
    publisher = publish(broker.url)
    publisher.take_batch(run_of(300))
    publisher.wait(30)
    said.wait_for("has caught up: it was")
    assert "documents wait for it. No plan does." in said.wait_for("is slow: it is")


@pytest.mark.parametrize("end", ["", "sys.exit(3)", "RE.close()", "raise ValueError"])
def test_at_interpreter_exit_what_waits_is_kept(folder: Path, end: str) -> None:
    """Also the stop document of a plan that is aborted only then."""
    program = f"""
        import sys, threading
        from bluesky.utils import Msg
        from freewheel import RunEngine
        from freewheel.publishing import Publisher

        RE = RunEngine()
        Publisher("{NOBODY}").attach(RE)
        running = threading.Event()

        def plan():
            yield Msg("open_run")
            running.set()
            yield Msg("sleep", None, 600)

        RE(plan())
        assert running.wait(30)
        {end}
    """
    (folder / "program.py").write_text(textwrap.dedent(program))
    subprocess.run(
        [sys.executable, "program.py"], cwd=folder, capture_output=True, timeout=60, check=False
    )
    (run,) = read_runs(KEPT)
    assert run.complete
    assert run.stop is not None
    assert run.stop["exit_status"] == "abort"
