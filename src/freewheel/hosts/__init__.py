"""The engine inside other people's servers. Each module is imported by its own name.

`freewheel.hosts.queueserver` is for the start-up scripts of bluesky-queueserver (extra
``queueserver``); `freewheel.hosts.blueapi` starts blueapi (extra ``blueapi``).
"""

__all__: list[str] = []
