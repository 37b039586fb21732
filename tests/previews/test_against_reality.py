"""What previews say of many plans, and what the engine then does: counts, claims and problems.

How long they take is compared by ``python -m benchmarks --only previews``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from foreseen import PLANS, Instruments, run_for_real
from freewheel import RunEngine, preview

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def instruments(tmp_path_factory: pytest.TempPathFactory) -> Instruments:
    return Instruments(tmp_path_factory.mktemp("files"), instant=True)


@pytest.fixture
def engine() -> Iterator[RunEngine]:
    with RunEngine() as run_engine:
        yield run_engine


@pytest.mark.parametrize("name", [name for name in PLANS if not name.endswith("?")])
def test_what_is_said_comes_true(name: str, instruments: Instruments, engine: RunEngine) -> None:
    foreseen = preview(PLANS[name](instruments))
    real = run_for_real(engine, PLANS[name](instruments))
    assert foreseen.guesses == ()
    assert dict(foreseen.events) == dict(real.events)
    assert foreseen.data_bytes == pytest.approx(real.data_bytes, rel=0.05)
    assert set(foreseen.claims) == real.claims
    assert foreseen.is_wrong == (real.error is not None)
    assert foreseen.is_complete


@pytest.mark.parametrize("name", [name for name in PLANS if name.endswith("?")])
def test_what_is_guessed_is_told(name: str, instruments: Instruments, engine: RunEngine) -> None:
    foreseen = preview(PLANS[name](instruments))
    real = run_for_real(engine, PLANS[name](instruments))
    assert foreseen.is_guess
    assert set(foreseen.events) == set(real.events)
    assert set(foreseen.claims) == real.claims
    assert not foreseen.is_wrong


def test_nothing_is_touched(instruments: Instruments) -> None:
    before = instruments.stage.x.position, instruments.file_camera._prepare_ctx
    for make in PLANS.values():
        preview(make(instruments))
    assert (instruments.stage.x.position, instruments.file_camera._prepare_ctx) == before
