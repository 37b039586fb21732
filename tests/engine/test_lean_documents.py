"""Documents that are not held against the schema again: what event-model refuses is refused."""

# ruff: noqa: N803

from __future__ import annotations

import functools
import operator
import uuid
from typing import TYPE_CHECKING, Any

import event_model
import numpy as np
import pytest
from event_model import DocumentNames, EventModelValidationError, schema_validators

from freewheel.engine._bluesky import _compose

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = {"dtype": "number", "shape": [], "source": "sim"}


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_compose, "_valid", set())


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return the documents that event-model's validator for descriptors is asked about."""
    asked: list[Any] = []
    validator = schema_validators[DocumentNames.descriptor]

    class Noting:
        def validate(self, doc: Any) -> None:
            asked.append(doc)
            validator.validate(doc)

    monkeypatch.setitem(schema_validators, DocumentNames.descriptor, Noting())
    return asked


def composer(lean: bool) -> Callable[..., Any]:
    """Return what composes the descriptors of one new run."""
    made = event_model.compose_run().compose_descriptor
    if lean:
        return _compose.LeanComposeDescriptor(made.start, made.streams, made.event_counters)
    return made


def settings(value: Any, **more: Any) -> dict[str, Any]:
    return {
        "camera": {
            "data": {"gain": value},
            "timestamps": {"gain": 1.0},
            "data_keys": {"gain": {**KEY, **more}},
        }
    }


def test_a_form_is_checked_once(checked: list[Any]):
    for gain in (1, 2.5, "high", [3, {"a.b": 4}], np.zeros(5)):
        bundle = composer(lean=True)("primary", {"x": KEY}, configuration=settings(gain))
        assert bundle.descriptor_doc["configuration"]["camera"]["data"]["gain"] is gain
    assert len(checked) == 1
    composer(lean=True)("primary", {"x": {**KEY, "units": "mm"}}, configuration=settings(1))
    assert len(checked) == 2


@pytest.mark.parametrize(
    ("keys", "configuration"),
    [
        ({"x": {"dtype": "number", "shape": []}}, settings(1)),
        ({"x": {**KEY, "shape": [True]}}, settings(1)),
        ({"x": {**KEY, "shape": [1.5]}}, settings(1)),
        ({"x": {**KEY, "dtype": "float"}}, settings(1)),
        ({"x.y": KEY}, settings(1)),
        ({"x": {**KEY, "more": {"a/b": 1}}}, settings(1)),
        ({"x": KEY}, settings({"a.b": 1})),
        ({"x": KEY}, settings(1, precision="three")),
        ({"x": KEY}, {"camera": {"data": 5}}),
        ({"x": KEY}, {"cam.era": {}}),
    ],
)
def test_what_event_model_refuses_is_refused_beside_what_it_takes(keys: Any, configuration: Any):
    names = {"hints": {}, "object_keys": {"camera": ["x"]}}
    for valid in ({"x": KEY}, {"x": {**KEY, "shape": [1]}}):
        composer(lean=True)("primary", valid, configuration=settings(1), **names)
    for _ in range(2):
        told = []
        for lean in (False, True):
            with pytest.raises(Exception, match=r".") as failure:
                composer(lean=lean)("primary", keys, configuration=configuration, **names)
            told.append((type(failure.value), str(failure.value).splitlines()[0]))
        assert told[0] == told[1]


def test_another_descriptor_of_a_stream_must_have_its_keys():
    compose = composer(lean=True)
    composer(lean=True)("primary", {"x": KEY, "y": KEY})
    compose("primary", {"x": KEY})
    with pytest.raises(EventModelValidationError, match="has already been composed"):
        compose("primary", {"x": KEY, "y": KEY})


def test_what_is_known_is_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(_compose, "_MOST_FORMS", 3)
    for number in range(10):
        composer(lean=True)("primary", {f"x{number}": KEY})
        assert 0 < len(_compose._valid) <= 3


def test_a_run_like_the_one_before_is_not_checked_again(RE: Any, checked: list[Any]):
    from bluesky.plans import count
    from ophyd.sim import det

    for _ in range(3):
        RE(count([det])).result(60)
    assert len(checked) == 1


def test_events_have_random_uuids_of_version_four(RE: Any):
    from bluesky.plans import count
    from ophyd.sim import det

    uids: list[str] = []
    RE.subscribe(lambda name, doc: uids.append(doc["uid"]), "event")
    RE(count([det], 500)).result(60)
    made = [uuid.UUID(uid) for uid in uids]
    assert [str(each) for each in made] == uids
    assert {(each.version, each.variant) for each in made} == {(4, uuid.RFC_4122)}
    # Each of the bits but these six is a zero in some and a one in others.
    assert functools.reduce(operator.or_, (each.int for each in made)) == (
        (1 << 128) - 1 & ~(0xB << 76) & ~(0x4 << 60)
    )
    assert functools.reduce(operator.and_, (each.int for each in made)) == 0x4 << 76 | 0x8 << 60
    assert len(set(uids)) == 500
