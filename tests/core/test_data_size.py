"""How much memory the data of a document take."""

from __future__ import annotations

from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest

from freewheel.core import _data_size
from freewheel.core._data_size import StreamsOfNumbers, data_size


@pytest.mark.parametrize(
    ("value", "least", "most"),
    [
        (1.5, 0, 0),
        (7, 0, 0),
        (None, 0, 0),
        (np.float64(1.5), 8, 8),
        (np.zeros((512, 512), "u2"), 524_288, 524_288),
        ("x" * 1_000_000, 1_000_000, 1_000_000),
        (b"x" * 1_000_000, 1_000_000, 1_000_000),
        ([], 0, 0),
        ([0.5] * 100_000, 2_400_000, 4_000_000),
        ([[1, 2, 3, 4]] * 50_000, 4_800_000, 8_000_000),
        ([np.zeros(1000), np.zeros(1000)], 16_000, 16_200),  # of a page of events
        (("x" * 1000,) * 50, 50_000, 52_000),
        (bytearray(1_000_000), 1_000_000, 1_000_000),
        ({"it": np.zeros(1000), "where": {"x": 1.0, "of": "x" * 1000}}, 9_000, 9_200),
        ([{"it": np.zeros(1000)}] * 50, 400_000, 404_000),
        (dict.fromkeys(range(1000), 1.0), 0, 4_000),
        (object(), 0, 0),
        (Mock(), 0, 0),  # whose size is no number
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_takes_memory_is_counted(value: Any, least: int, most: int) -> None:
    assert least <= data_size({"data": {"x": 1.0, "it": value}}) <= most


def test_what_holds_itself_ends() -> None:
    value: list[Any] = []
    value.append(value)
    table: dict[str, Any] = {}
    table.update(it=table, those=[table])
    assert data_size({"data": {"it": value, "that": table}}) < 1000


@pytest.mark.parametrize("doc", [{}, {"data": {}}, {"data": None}, {"data": [1.0]}])
def test_what_is_no_event_counts_nothing(doc: dict[str, Any]) -> None:
    assert data_size(doc) == 0


def descriptor(uid: str, run: str, *dtypes: str) -> dict[str, Any]:
    keys = {f"key {number}": {"dtype": dtype} for number, dtype in enumerate(dtypes)}
    return {"uid": uid, "run_start": run, "data_keys": keys}


def event(uid: str, value: Any = 1.0) -> dict[str, Any]:
    return {"descriptor": uid, "data": {"x": value}}


def test_streams_are_of_numbers_if_their_descriptors_say_so() -> None:
    streams = StreamsOfNumbers()
    assert streams.size_of("descriptor", descriptor("a", "run", "number", "integer")) == 0
    assert streams.size_of("descriptor", descriptor("b", "run", "boolean")) == 0
    assert streams.size_of("event", event("a")) == 0
    assert not streams.others
    assert streams.size_of("descriptor", descriptor("c", "other", "number", "array")) == 0
    assert streams.others == {"other"}
    streams.size_of("stop", {"run_start": "run"})
    assert streams.others == {"other"}
    streams.size_of("stop", {"run_start": "other"})
    assert not streams.others


def test_an_event_says_more_than_its_descriptor() -> None:
    streams = StreamsOfNumbers()
    streams.size_of("descriptor", descriptor("a", "run", "number"))
    assert streams.size_of("event", event("a", np.zeros(5))) == 40
    assert streams.others == {"run"}
    streams.size_of("stop", {"run_start": "run"})
    assert not streams.others


def test_a_stream_whose_descriptor_did_not_come_may_be_of_anything() -> None:
    streams = StreamsOfNumbers()
    streams.size_of("descriptor", descriptor("a", "run", "number"))
    streams.size_of("event", event("of before"))
    assert streams.others
    streams.size_of("event", event("a"))
    assert streams.others
    streams.size_of("stop", {"run_start": "the one before"})
    assert not streams.others
    streams.size_of("event", event("a"))
    assert not streams.others


def test_the_end_of_one_run_says_nothing_of_another_that_began_before_any_came() -> None:
    streams = StreamsOfNumbers()
    for run in ("a", "b"):
        streams.size_of("start", {"uid": run})
        streams.size_of("descriptor", descriptor("of it", run, "number"))
        streams.size_of("event", event("of before", np.zeros(5)))
        streams.size_of("event", event("of it"))
        streams.size_of("stop", {"run_start": run})
        assert streams.others
    streams.size_of("stop", {"run_start": "the one before"})
    assert not streams.others


def test_what_was_known_of_a_run_is_forgotten_with_it() -> None:
    streams = StreamsOfNumbers()
    streams.size_of("start", {"uid": "a"})
    streams.size_of("descriptor", descriptor("numbers", "a", "number"))
    streams.size_of("descriptor", descriptor("frames", "a", "array"))
    for value in (1.0, np.zeros(5), 1.0):
        streams.size_of("event", event("numbers", value))
        streams.size_of("event", event("frames", value))
    assert streams.others == {"a"}
    streams.size_of("stop", {"run_start": "a"})
    assert not streams.others


@pytest.mark.parametrize("kind", ["start", "descriptor"])
def test_who_hears_of_no_stops_keeps_no_runs_for_ever(kind: str) -> None:
    streams = StreamsOfNumbers()
    for number in range(2 * _data_size._MOST + 1):
        run = f"run {number}"
        doc = descriptor(run, run, "array") if kind == "descriptor" else {"uid": run}
        streams.size_of(kind, doc)
    kept = streams._begun, streams._runs, streams.others
    assert max(map(len, kept)) <= _data_size._MOST
    streams.size_of("event", event("run 0"))  # of which nothing is known any more
    assert streams.others
