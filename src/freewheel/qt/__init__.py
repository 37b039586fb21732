"""Qt widgets for acquisition programs (extra ``qt``).

An `EngineBridge` carries what an engine tells to the window's thread; every widget is made from
one. `AcquisitionWindow` is a whole window made of them. Works with PySide6 and PyQt6, through
``qtpy``; all of it belongs to the window's thread.
"""

from freewheel.core import MissingExtraError

try:
    # Before pyqtgraph, which otherwise picks a binding of its own.
    import qtpy.QtWidgets  # noqa: F401 # isort: skip
    import magicgui as _magicgui  # noqa: F401
    import pyqtgraph as _pyqtgraph  # noqa: F401
except ImportError as error:
    feature = "freewheel.qt"
    raise MissingExtraError(feature, "qt") from error

from freewheel.forms import connect_devices
from freewheel.qt._acquisition_bar import AcquisitionBar
from freewheel.qt._action_bar import ActionBar, ActionButton
from freewheel.qt._bridge import EngineBridge
from freewheel.qt._claims import ClaimGuard, ClaimsView
from freewheel.qt._controls import EngineControls
from freewheel.qt._devices import DevicePanel
from freewheel.qt._ending import end_on_signals
from freewheel.qt._errors import ErrorList
from freewheel.qt._form import PlanForm
from freewheel.qt._image import LiveImage
from freewheel.qt._image_area import ImageArea
from freewheel.qt._log import PlanLog
from freewheel.qt._mda_editor import MDAEditor
from freewheel.qt._motor_row import MotorRow
from freewheel.qt._plans import PlanChooser
from freewheel.qt._plot import LivePlot
from freewheel.qt._presets import PresetPanel
from freewheel.qt._preview import PreviewPane
from freewheel.qt._progress import ProgressPanel
from freewheel.qt._queue_table import QueueTable
from freewheel.qt._reading_row import ReadingRow
from freewheel.qt._responsive import responsive
from freewheel.qt._runs import RunsPanel
from freewheel.qt._setting_row import SettingRow
from freewheel.qt._stage_pad import StagePad
from freewheel.qt._state_label import StateLabel
from freewheel.qt._theme import Theme, use_theme
from freewheel.qt._window import AcquisitionWindow

__all__ = [
    "AcquisitionBar",
    "AcquisitionWindow",
    "ActionBar",
    "ActionButton",
    "ClaimGuard",
    "ClaimsView",
    "DevicePanel",
    "EngineBridge",
    "EngineControls",
    "ErrorList",
    "ImageArea",
    "LiveImage",
    "LivePlot",
    "MDAEditor",
    "MotorRow",
    "PlanChooser",
    "PlanForm",
    "PlanLog",
    "PresetPanel",
    "PreviewPane",
    "ProgressPanel",
    "QueueTable",
    "ReadingRow",
    "RunsPanel",
    "SettingRow",
    "StagePad",
    "StateLabel",
    "Theme",
    "connect_devices",
    "end_on_signals",
    "responsive",
    "use_theme",
]
