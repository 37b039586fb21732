"""Look at two plans before either moves anything: how long, what they need, do they fit."""

from bluesky.plans import count, scan

from freewheel import conflicts, preview
from freewheel.sim import microscope

scope = microscope()
across = preview(scan, [scope.camera], scope.stage.x, 0, 100, 11)
along = preview(count, [scope.camera], 5)
room = preview(count, [scope.temperature], 5)

print(across.events["primary"], "events,", "problems:", list(across.problems))
print("moves", {str(name): (move.lowest, move.highest) for name, move in across.moves.items()})
print("beside each other:", [bool(conflicts(across, other)) for other in (along, room)])
