"""What a plan will do, before anything moves."""

from ._conflicts import conflicts, validate_no_overlap
from ._contention import Conflict
from ._learned import Measured, Times
from ._preview import Disk, Move, Preview, Problem, bytes_text
from ._previewer import Previewer, preview
from ._times_file import TimesFile

__all__ = [
    "Conflict",
    "Disk",
    "Measured",
    "Move",
    "Preview",
    "Previewer",
    "Problem",
    "Times",
    "TimesFile",
    "bytes_text",
    "conflicts",
    "preview",
    "validate_no_overlap",
]
