"""useq sequences of every kind, small enough to be run."""

from __future__ import annotations

import warnings
from typing import Any

import useq
from hypothesis import strategies as st

CHANNELS = ("Cy5", "DAPI", "FITC", "Rhodamine")  # of Micro-Manager's demo configuration
MAX_EVENTS = 60

_numbers = st.integers(-20, 20).map(float)
_places = st.one_of(st.none(), _numbers)


def z_plans() -> st.SearchStrategy[Any]:
    return st.one_of(
        st.builds(useq.ZRangeAround, range=st.integers(0, 4).map(float), step=st.just(1.0)),
        st.builds(
            useq.ZAboveBelow,
            above=st.integers(0, 2).map(float),
            below=st.integers(0, 2).map(float),
            step=st.just(1.0),
        ),
        st.builds(useq.ZTopBottom, top=st.just(2.0), bottom=st.just(0.0), step=st.just(1.0)),
        st.builds(useq.ZRelativePositions, relative=st.lists(_numbers, min_size=1, max_size=3)),
        st.builds(useq.ZAbsolutePositions, absolute=st.lists(_numbers, min_size=1, max_size=3)),
    )


def time_plans() -> st.SearchStrategy[Any]:
    phase = st.builds(
        useq.TIntervalLoops, interval=st.sampled_from([0.0, 0.002]), loops=st.integers(1, 3)
    )
    return st.one_of(
        phase, st.builds(useq.MultiPhaseTimePlan, phases=st.lists(phase, min_size=1, max_size=2))
    )


def grid_plans() -> st.SearchStrategy[Any]:
    return st.one_of(
        st.builds(
            useq.GridRowsColumns,
            rows=st.integers(1, 2),
            columns=st.integers(1, 2),
            fov_width=st.just(10.0),
            fov_height=st.just(10.0),
        ),
        st.builds(
            useq.GridFromEdges,
            top=st.just(10.0),
            bottom=st.just(0.0),
            left=st.just(0.0),
            right=st.just(10.0),
            fov_width=st.just(10.0),
            fov_height=st.just(10.0),
        ),
        st.builds(
            useq.RandomPoints,
            num_points=st.integers(1, 3),
            max_width=st.just(50.0),
            max_height=st.just(50.0),
            random_seed=st.integers(0, 5),
        ),
    )


def channels() -> st.SearchStrategy[Any]:
    one = st.builds(
        useq.Channel,
        config=st.sampled_from(CHANNELS),
        exposure=st.one_of(st.none(), st.sampled_from([1.0, 2.0])),
        do_stack=st.booleans(),
        z_offset=st.sampled_from([0.0, 1.0]),
        acquire_every=st.integers(1, 2),
    )
    return st.lists(one, max_size=2, unique_by=lambda channel: channel.config).map(tuple)


def autofocus_plans() -> st.SearchStrategy[Any]:
    axes = st.lists(st.sampled_from("tpgc"), min_size=1, max_size=2, unique=True).map(tuple)
    return st.builds(useq.AxesBasedAF, axes=axes)


def _fields(nested: bool) -> dict[str, st.SearchStrategy[Any]]:
    fields: dict[str, st.SearchStrategy[Any]] = {
        "z_plan": st.one_of(st.none(), z_plans()),
        "grid_plan": st.one_of(st.none(), grid_plans()),
        "channels": channels(),
        "autofocus_plan": st.one_of(st.none(), autofocus_plans()),
    }
    if not nested:
        fields["time_plan"] = st.one_of(st.none(), time_plans())
        fields["stage_positions"] = st.lists(positions(), max_size=3).map(tuple)
        fields["axis_order"] = st.permutations("tpgcz").map("".join)
        fields["keep_shutter_open_across"] = st.sampled_from([(), ("z",), ("z", "c"), ("t",)])
        fields["metadata"] = st.sampled_from([{}, {"sample": "beads"}])
    return fields


def positions() -> st.SearchStrategy[Any]:
    nested = st.fixed_dictionaries({}, optional=_fields(nested=True))
    return st.fixed_dictionaries(
        {"x": _places, "y": _places, "z": _places},
        optional={"name": st.sampled_from(["A", "B"]), "sequence": nested},
    )


@st.composite
def sequences(draw: st.DrawFn) -> useq.MDASequence:
    """A sequence that useq accepts and can go through, with 1 to `MAX_EVENTS` events."""
    from hypothesis import reject

    fields = draw(st.fixed_dictionaries({}, optional=_fields(nested=False)))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about combinations that it makes something else of
            sequence = useq.MDASequence.model_validate(fields)
            number = sum(1 for _ in sequence)
    except (ValueError, KeyError, TypeError):
        reject()  # useq's own: an order of axes that it does not take, and the like
    if not 1 <= number <= MAX_EVENTS:
        reject()
    return sequence


_DAPI_FITC = [{"config": "DAPI", "exposure": 2}, {"config": "FITC", "exposure": 3}]

#: Such as pymmcore-plus and useq try their own runner and iteration with, by what they are about.
KNOWN: dict[str, dict[str, Any]] = {
    "times, positions and a channel in an order of one's own": {
        "channels": ["Cy5"],
        "time_plan": {"interval": 0.01, "loops": 2},
        "axis_order": "tpcz",
        "stage_positions": [(222, 1, 1), (111, 0, 0)],
    },
    "all times of a channel at a position": {
        "axis_order": "pct",
        "stage_positions": [(0, 0), (1, 1)],
        "channels": _DAPI_FITC,
        "time_plan": {"interval": 0, "loops": 3},
    },
    "all that hardware can do at once": {
        "stage_positions": [(0, 0, 0), (1, 1, 1)],
        "z_plan": {"range": 3, "step": 1},
        "channels": _DAPI_FITC,
        "time_plan": {"interval": 0, "loops": 3},
    },
    "stacks at times that are waited for": {
        "z_plan": {"range": 1, "step": 1},
        "time_plan": {"interval": 0.05, "loops": 3},
    },
    "times at one position alone, with the shutter open across them": {
        "axis_order": "zpt",
        "stage_positions": [
            (0, 0),
            {"sequence": {"time_plan": {"interval": 0.01, "loops": 3}}},
        ],
        "z_plan": {"range": 2, "step": 1},
        "keep_shutter_open_across": ["t"],
    },
    "autofocus at each position": {
        "axis_order": "ptc",
        "stage_positions": [(0, 0), (1, 1)],
        "channels": [{"config": "FITC", "exposure": 2}],
        "time_plan": {"interval": 0, "loops": 5},
        "autofocus_plan": {"autofocus_motor_offset": 25, "axes": ["p"]},
    },
    "autofocus in a position's own sequence": {
        "stage_positions": [
            {"z": 25, "sequence": {"autofocus_plan": {"autofocus_motor_offset": 25, "axes": ["p"]}}}
        ],
        "z_plan": {"above": 1, "below": 1, "step": 1},
    },
    "a grid in a position's own sequence": {
        "channels": ["FITC"],
        "stage_positions": [{"sequence": {"grid_plan": {"rows": 1, "columns": 2}}}],
        "grid_plan": {"rows": 1, "columns": 1},
    },
    "a channel in a position's own sequence alone": {
        "stage_positions": [
            {},
            {"sequence": {"channels": [{"config": "FITC", "exposure": 2}]}},
        ],
    },
    "another stack at one of two positions": {
        "stage_positions": [
            {"z": 0},
            {"z": 0, "sequence": {"z_plan": {"top": 30, "bottom": 28, "step": 1}}},
        ],
        "z_plan": {"range": 2, "step": 1},
        "channels": ["Cy5"],
    },
    "a channel that is taken at some times, and without its stack": {
        "channels": ["Cy5", {"config": "DAPI", "acquire_every": 3, "do_stack": False}],
        "z_plan": {"range": 2, "step": 1},
        "time_plan": {"phases": [{"interval": 0, "loops": 3}, {"interval": 0.01, "loops": 2}]},
    },
    "a region that is set first": {
        "setup": {"roi": {"offset_x": 12, "offset_y": 32, "width": 64, "height": 32}},
        "channels": ["DAPI"],
        "time_plan": {"interval": 0, "loops": 3},
    },
}
