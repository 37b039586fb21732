"""The commands ``stash`` and ``clear_cache``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from freewheel.core import HasCache

if TYPE_CHECKING:
    from bluesky.utils import Msg

    from freewheel.engine._bluesky import EngineCore

__all__ = ["ClearCache", "Stash"]


class _CacheCommand:
    __slots__ = ("_core",)

    def __init__(self, core: EngineCore) -> None:
        self._core = core

    def _cache_of(self, msg: Msg) -> HasCache:
        if not isinstance(msg.obj, HasCache):
            raise TypeError(
                f"{msg.command} needs an object with a cache (methods stash and clear, as in "
                f"freewheel.HasCache), not {msg.obj!r}. freewheel.ReadingCache is a ready one."
            )
        return msg.obj

    def _group_of(self, msg: Msg) -> Any:
        if "group" not in msg.kwargs:
            raise RuntimeError(f'{msg.command} needs a group: Msg("{msg.command}", obj, group=…).')
        return msg.kwargs["group"]


class Stash(_CacheCommand):
    """``Msg("stash", obj, {key: Reading, ...}, group=...)``: keep readings in a cache."""

    async def __call__(self, msg: Msg) -> Any:
        """Stash the readings; return the status."""
        cache = self._cache_of(msg)
        if len(msg.args) != 1:
            raise RuntimeError(
                f"stash takes exactly one positional argument, the readings; {len(msg.args)} "
                f"were given for {msg.obj!r}."
            )
        group = self._group_of(msg)
        status = cache.stash(msg.args[0])
        self._core.statuses.add_passing(msg.obj, status, group, "stash")
        return status


class ClearCache(_CacheCommand):
    """``Msg("clear_cache", obj, group=...)``: empty a cache."""

    async def __call__(self, msg: Msg) -> Any:
        """Clear the cache; return the status."""
        cache = self._cache_of(msg)
        if msg.args:
            raise RuntimeError(f"clear_cache takes no positional argument, not {msg.args!r}.")
        group = self._group_of(msg)
        status = cache.clear()
        self._core.statuses.add_passing(msg.obj, status, group, "clear_cache")
        return status
