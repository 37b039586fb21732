"""Sequences of useq: filled in, read, written, drawn and run."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog, QListWidget, QPushButton

from freewheel.qt import AcquisitionWindow, MDAEditor, StagePad
from freewheel.qt._plans._rows_table import RowsTable
from small_disk import largest_file

useq = pytest.importorskip("useq")
micromanager = pytest.importorskip("freewheel.micromanager")


@pytest.fixture(name="plain")
def _plain(bridge: Any, qtbot: Any) -> Any:
    editor = MDAEditor(bridge)
    qtbot.addWidget(editor)
    editor.show()
    return editor


@pytest.fixture(name="microscope")
def _microscope() -> Iterator[Any]:
    scope = micromanager.devices(micromanager.load(None))
    yield scope
    scope.close()


SIMPLE = {
    "channels": [{"config": "DAPI", "exposure": 10}, {"config": "FITC", "z_offset": 1.5}],
    "z_plan": {"range": 6.0, "step": 2.0},
    "time_plan": {"interval": 2.5, "loops": 4},
    "grid_plan": {"rows": 2, "columns": 3, "overlap": (20.0, 20.0)},
    "stage_positions": [{"x": 1.0, "y": 2.0, "z": 3.0, "name": "a"}, {"x": 5.0, "y": 6.0}],
    "axis_order": "ptgzc",
}


def test_a_row_that_is_added_has_a_channel_that_none_has(
    bridge: Any, microscope: Any, qtbot: Any
) -> None:
    editor = MDAEditor(bridge, microscope)
    qtbot.addWidget(editor)
    table = editor.findChild(RowsTable)
    for _ in range(2):
        table.add_row()
    channels = [row[0] for row in table.value()]
    assert len(set(channels)) == 3
    table.set_value([["Channel: FITC", None, None]])
    table.add_row()
    assert table.value()[1][0] != "Channel: FITC"


EDGES = {"top": 9.0, "left": 0.0, "bottom": 0.0, "right": 9.0}


@pytest.mark.parametrize("suffix", [".json", ".yaml"])
@pytest.mark.parametrize(
    "fields",
    [
        {},
        *({name: value} for name, value in SIMPLE.items()),
        SIMPLE,
        {"z_plan": {"top": 1.0, "bottom": -1.0, "step": 0.5}},
        {"time_plan": [{"interval": 1, "loops": 2}, {"interval": 5, "loops": 3}]},
        {"grid_plan": {"top": 1.0, "left": 0.0, "bottom": 0.0, "right": 1.0}},
        {"grid_plan": {"rows": 2, "columns": 2, "overlap": (5.0, 10.0)}},
        {"grid_plan": {"rows": 2, "columns": 2, "fov_width": 3.0, "fov_height": 2.0}},
        {"channels": [{"config": "DAPI", "acquire_every": 2}]},
        {"stage_positions": [{"x": 1, "y": 2, "sequence": {"z_plan": {"range": 2, "step": 1}}}]},
        {"stage_positions": [{"x": 1, "y": 2}], "metadata": {"who": "me"}},
        {"axis_order": "ztpcg", "keep_shutter_open_across": ("z",)},
    ],
)
def test_what_is_read_is_what_is_written(
    plain: Any, tmp_path: Path, fields: Any, suffix: str
) -> None:
    before = useq.MDASequence(**fields)
    first, second = tmp_path / f"first{suffix}", tmp_path / f"second{suffix}"
    text = before.yaml(exclude_unset=True) if suffix == ".yaml" else before.model_dump_json()
    first.write_text(text)
    plain.load(first)
    plain.save(second)
    after = useq.MDASequence.from_file(second)
    names = {"name"}  # positions without one are given one, by which they are ticked
    for name in type(before).model_fields:
        if name == "uid":
            continue
        one, other = getattr(before, name), getattr(after, name)
        if name == "stage_positions":
            one = [p.model_dump(exclude=names) for p in one]
            other = [p.model_dump(exclude=names) for p in other]
        assert other == one, name


def test_what_there_are_no_fields_for_can_be_filled_in_instead(plain: Any) -> None:
    plain.set_sequence(useq.MDASequence(z_plan={"top": 1.0, "bottom": -1.0, "step": 0.5}))
    part = plain.parts["z_plan"]
    assert "ZTopBottom" in part._as_it_came.text()
    assert not part.fields["range"].isVisible()
    part._edit.click()
    part.fields["range"].set_value(8.0)
    assert plain.sequence().z_plan == useq.ZRangeAround(range=8.0, step=1.0)


def test_one_frame_is_not_several(plain: Any) -> None:
    plain.set_sequence(useq.MDASequence(z_plan={"relative": [1]}))
    assert plain.message == "1 frame: z 1"


def test_what_is_wrong_is_said_and_not_run(plain: Any) -> None:
    part = plain.parts["z_plan"]
    part.setChecked(True)
    assert plain.message == "5 frames: z 5"
    part.fields["step"].set_value("thick")
    assert "step" in plain.message
    assert not plain.findChild(QPushButton, "mda:run").isEnabled()
    with pytest.raises(ValueError, match="step"):
        plain.sequence()


def test_without_a_microscope_run_is_grey_and_says_why(plain: Any) -> None:
    plain.parts["z_plan"].setChecked(True)
    run = plain.findChild(QPushButton, "mda:run")
    assert not run.isEnabled()
    assert "no devices here for sequences" in run.toolTip()
    assert plain.run() is None


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("odd.yaml", "z_plan: 3\n", "z_plan"),
        ("odd.yaml", "channels: [a, b\n  - x: {", "odd.yaml is no sequence of useq"),
        ("odd.yaml", "metadata: {name: 'µ'}", "odd.yaml is no sequence of useq"),
        ("odd.json", '{"channels": [', "Invalid JSON"),
        ("odd.txt", "", "Unknown file type"),
    ],
)
def test_a_file_that_is_none_is_refused(
    plain: Any, tmp_path: Path, soon: Any, name: str, text: str, said: str
) -> None:
    (tmp_path / name).write_text(text, encoding="latin-1")
    before = plain.sequence()
    plain._open(tmp_path / name)
    soon(lambda: said in plain.message)
    assert plain.sequence() == before


def test_a_file_that_is_not_there_is_said(plain: Any, tmp_path: Path, soon: Any) -> None:
    plain._open(tmp_path / "nowhere.yaml")
    soon(lambda: "No such file" in plain.message)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"z_plan": {"range": 1e6, "step": 1e-6}}, "too many to be run at once"),
        ({"grid_plan": {"rows": 40_000, "columns": 40_000}}, "too many"),
        ({"time_plan": {"interval": 1, "loops": 10**9}}, "too many"),
        ({"time_plan": {"interval": 0, "duration": 3}}, "cannot be counted"),
        ({"z_plan": {"range": float("nan"), "step": 1}}, "cannot be counted"),
        (
            {"stage_positions": [{"x": 1, "sequence": {"z_plan": {"range": 1e9, "step": 1e-3}}}]},
            "too many",
        ),
    ],
)
def test_a_sequence_without_an_end_is_refused_and_holds_nothing_up(
    bridge: Any, scope: Any, qtbot: Any, fields: Any, said: str
) -> None:
    pad = StagePad(bridge, dict(scope))
    editor = MDAEditor(bridge, dict(scope), pad)
    for widget in (pad, editor):
        qtbot.addWidget(widget)
    editor.set_sequence(useq.MDASequence(**fields))
    assert said in editor.message
    run = editor.findChild(QPushButton, "mda:run")
    assert not run.isEnabled()
    assert said in run.toolTip()


@pytest.mark.parametrize(
    "fields",
    [
        SIMPLE,
        {"time_plan": [{"interval": 1, "loops": 2}, {"interval": 5, "loops": 3}] * 2},
        {"z_plan": {"relative": [1, 2, 5]}},
        {"grid_plan": {**EDGES, "fov_width": 2.0, "fov_height": 4.0}},
        {"grid_plan": {"num_points": 7, "max_width": 1000.0, "max_height": 1000.0}},
    ],
)
def test_frames_are_counted_as_useq_counts_them(plain: Any, fields: Any) -> None:
    sequence = useq.MDASequence(**fields)
    sizes = ", ".join(f"{axis} {size}" for axis, size in sequence.sizes.items() if size)
    plain.set_sequence(sequence)
    assert plain.message.endswith(f" frames: {sizes}")


def test_what_is_written_over_stays_if_it_cannot_be(plain: Any, tmp_path: Path) -> None:
    path = tmp_path / "kept.yaml"
    plain.save(path)
    before = path.read_bytes()
    plain.parts["channels"].setChecked(True)
    with largest_file(3):
        plain._save(path)
    assert "File too large" in plain.message
    assert path.read_bytes() == before


def test_files_are_asked_for_without_blocking(plain: Any, tmp_path: Path, soon: Any) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"z_plan": {"range": 4, "step": 2}}', encoding="utf-8")
    for name, chosen in (("open", path), ("save", tmp_path / "b.yaml")):
        plain.findChild(QPushButton, f"mda:{name}").click()
        dialog = plain.findChild(QFileDialog)
        assert not dialog.isModal()
        dialog.fileSelected.emit(str(chosen))
        dialog.reject()
        soon(lambda: plain.message == "3 frames: z 3" and plain.findChild(QFileDialog) is None)
    assert useq.MDASequence.from_file(tmp_path / "b.yaml").sizes["z"] == 3


def test_positions_come_from_the_pad_and_the_grid_is_drawn_on_its_map(
    bridge: Any, scope: Any, qtbot: Any, soon: Any
) -> None:
    pad = StagePad(bridge, dict(scope))
    editor = MDAEditor(bridge, None, pad)
    for widget in (pad, editor):
        qtbot.addWidget(widget)
        widget.show()
    soon(lambda: len(pad.place) == 3)
    editor.set_sequence(
        useq.MDASequence(
            grid_plan={"rows": 1, "columns": 2, "fov_width": 10, "fov_height": 4, "overlap": 0}
        )
    )
    assert sorted(pad.map.fields) == [(-10, -2, 10, 4), (0, -2, 10, 4)]  # around where it stands
    pad.save_position("here")
    pad.go({"stage.x": 100.0})
    soon(lambda: pad.place["stage.x"] == 100)
    pad.save_position("there")
    listed = editor.findChild(QListWidget, "mda:positions")
    assert [listed.item(row).text() for row in range(2)] == ["here", "there"]
    editor.parts["stage_positions"].setChecked(True)
    listed.item(1).setCheckState(Qt.CheckState.Checked)
    assert [p.name for p in editor.sequence().stage_positions] == ["there"]
    assert sorted(pad.map.fields) == [(90, -2, 10, 4), (100, -2, 10, 4)]
    pad._positions.delete()  # it stays ticked until somebody unticks it
    assert [p.name for p in editor.sequence().stage_positions] == ["there"]


@pytest.mark.servers
def test_a_sequence_is_run_from_the_window(
    engine: Any, microscope: Any, qtbot: Any, soon: Any, tmp_path: Path
) -> None:
    window = AcquisitionWindow(engine, dict(microscope), [], microscope=microscope)
    qtbot.addWidget(window, before_close_func=lambda w: w.bridge.close())
    window.show()
    soon(lambda: len(window.stage.place) == 3)
    editor = window.findChild(MDAEditor)
    channels = editor.parts["channels"]
    channels.setChecked(True)
    channels.table.set_value([["Channel: DAPI", 5, None], ["Channel: FITC", 5, None]])
    for name in ("grid_plan", "z_plan"):
        editor.parts[name].setChecked(True)
    editor.parts["z_plan"].fields["range"].set_value(2)
    soon(lambda: len(window.stage.map.fields) == 4)
    assert window.stage.map.fields[0][2] > 100  # what this camera sees
    assert editor.message.startswith("24 frames")
    assert editor.message.endswith(", not recorded")
    window.bar.destination = str(tmp_path)
    window.bar.recording.start(str(tmp_path))
    soon(lambda: window.bar.recording.is_on)
    assert "not recorded" not in editor.message
    window.bar.recording.end()
    assert editor.message.endswith(", not recorded")
    stops: list[Any] = []
    window.bridge.documentReceived.connect(lambda n, doc: stops.append(doc) if n == "stop" else 0)
    editor.findChild(QPushButton, "mda:run").click()
    soon(lambda: stops)
    assert stops[0]["exit_status"] == "success"
    assert sum(stops[0]["num_events"].values()) == 24
    window.preview.end()
