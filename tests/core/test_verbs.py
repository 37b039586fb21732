"""What the messages do to devices."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from bluesky.utils import Msg

from freewheel import RunEngine
from freewheel.core._verbs import NEEDED, VERBS, devices_of, needed_by

CAMERA = SimpleNamespace(name="camera", trigger=lambda: None)
CLOCK = SimpleNamespace(name="clock")


def test_what_needs_its_device() -> None:
    assert set(NEEDED) == set(
        "set trigger kickoff complete collect prepare stage unstage configure stop acquire".split()
    )


def test_what_moves_or_measures_needs_its_device() -> None:
    assert all(verb.needs for verb in VERBS.values() if verb.moves or verb.measures)
    assert {verb.name for verb in VERBS.values() if verb.moves} == {
        *("set", "prepare", "kickoff", "complete")
    }
    assert {verb.name for verb in VERBS.values() if verb.measures} == {
        *("trigger", "kickoff", "complete", "acquire")
    }


@pytest.mark.parametrize("name", sorted(set(VERBS) - {"acquire"}))
def test_a_message_is_about_its_object(name: str) -> None:
    msg = Msg(name, CAMERA)
    assert devices_of(msg) == (CAMERA,)
    assert needed_by(msg) == ((CAMERA,) if name in NEEDED else ())
    assert devices_of(Msg(name)) == needed_by(Msg(name)) == ()


def test_several_devices_of_one_message() -> None:
    assert devices_of(Msg("locate", CAMERA, CLOCK)) == (CAMERA, CLOCK)
    assert devices_of(Msg("declare_stream", None, CAMERA, CLOCK, name="primary")) == (CAMERA, CLOCK)
    assert devices_of(Msg("acquire", None, CAMERA, CLOCK, name="primary")) == (CAMERA, CLOCK)
    assert needed_by(Msg("acquire", None, CAMERA, CLOCK, name="primary")) == (CAMERA,)
    assert devices_of(Msg("set", CAMERA, 3.0)) == (CAMERA,)


def test_the_rest_is_about_no_device() -> None:
    for msg in (Msg("null", CLOCK), Msg("sleep", None, 1), Msg("wait", None, group="a"), Msg("x")):
        assert devices_of(msg) == needed_by(msg) == ()


def test_every_verb_that_is_needed_is_a_command_of_the_engine() -> None:
    with RunEngine() as engine:
        assert set(NEEDED) <= set(engine.commands)
