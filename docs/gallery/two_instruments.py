"""Two instruments with an engine each, and one operator who follows both."""

import asyncio

from bluesky.plans import count, scan

from freewheel import RunEngine
from freewheel.sim import microscope


async def follow(name, engine, plans):
    """Run plans one after the other on one instrument; tell how each ended."""
    for plan in plans:
        result = await engine(plan)
        said.append(f"{name}: {result.exit_status}")


async def main():
    left, right = microscope(seed=1, instant=True), microscope(seed=2, instant=True)
    with RunEngine({"instrument": "left"}) as one, RunEngine({"instrument": "right"}) as two:
        await asyncio.gather(
            follow("left", one, [count([left.camera], 3), count([left.camera])]),
            follow("right", two, [scan([right.camera], right.stage.x, 0, 1, 5)]),
        )


said = []
asyncio.run(main())
print(", ".join(sorted(said)))
