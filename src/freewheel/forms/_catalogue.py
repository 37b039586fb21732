"""Find the plans of modules, files and folders; what can't be used is listed with the reason."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
import threading
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from freewheel.forms._build import (
    OfferedDevices,
    create_plan_spec,
    is_plan_function,
    plan_name,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from freewheel.forms._spec import PlanSpec

__all__ = [
    "PlanEntry",
    "being_imported",
    "check_source",
    "find_plans",
    "import_file",
    "is_module_name",
]

# What each thread imports at this moment; each writes its own entry alone.
_under_way: dict[int, str] = {}


@dataclass(frozen=True)
class PlanEntry:
    """A plan that was found, or something that should have been one.

    Attributes
    ----------
    name
        The plan's name, or the file's or module's that could not be loaded.
    source
        The module or file that it comes from.
    spec
        Its description; `None` if it is unavailable.
    reason
        Why it is unavailable, in a sentence; empty otherwise.
    traceback
        The traceback of a file or module that could not be loaded.
    """

    name: str
    source: str
    spec: PlanSpec | None = None
    reason: str = ""
    traceback: str = field(default="", repr=False)

    @property
    def available(self) -> bool:
        """Whether a form can be made of it."""
        return self.spec is not None


def find_plans(
    sources: Iterable[str | Path | ModuleType | Callable[..., Any]],
    devices: Mapping[str, Any] | None = None,
) -> list[PlanEntry]:
    """Find the plans of modules, files and folders.

    Runs the code of the files that it is given, on the calling thread.

    Parameters
    ----------
    sources
        Modules, names of modules, Python files, folders of Python files, and plan functions. Of a
        module, the public plans that it defines (or lists in ``__all__``) are taken. Files whose
        name begins with ``_`` are left out.
    devices
        The devices on offer, by name.

    Returns
    -------
    list of PlanEntry
        In the order of the sources; unavailable ones too. A plan that a module has by several
        names is there once.

    Raises
    ------
    FileNotFoundError
        For a path that does not exist.
    """
    available = OfferedDevices(devices or {})
    entries: list[PlanEntry] = []
    for source in sources:
        if isinstance(source, ModuleType):
            entries += _from_module(source, source.__name__, available)
        elif isinstance(source, (str, Path)):
            entries += _from_text(source, available)
        else:
            entries.append(_entry(source, getattr(source, "__module__", ""), available))
    return entries


def _from_text(source: str | Path, devices: Mapping[str, Any]) -> Iterator[PlanEntry]:
    check_source(source)
    path = Path(source).expanduser()
    if path.is_dir():
        for file in sorted(path.glob("*.py")):
            if not file.name.startswith("_"):
                yield from _from_file(file, devices)
    elif path.is_file():
        yield from _from_file(path, devices)
    else:
        yield from _load(
            str(source), str(source), lambda: importlib.import_module(str(source)), devices
        )


def check_source(source: str | Path) -> None:
    """Refuse what is neither a file or folder that exists nor the name of a module.

    Raises
    ------
    FileNotFoundError
        For what is neither.
    """
    path = Path(source).expanduser()
    maybe_module = isinstance(source, str) and path.suffix != ".py" and is_module_name(source)
    if not (path.is_dir() or path.is_file() or maybe_module):
        msg = f"there is no file or folder {str(path)!r} to take plans from"
        raise FileNotFoundError(msg)


def is_module_name(text: str) -> bool:
    """Whether a text may be the name of a module."""
    return all(part.isidentifier() for part in text.split("."))


def _from_file(path: Path, devices: Mapping[str, Any]) -> Iterator[PlanEntry]:
    return _load(path.stem, str(path), lambda: import_file(path), devices)


def _load(
    name: str, source: str, load: Callable[[], ModuleType], devices: Mapping[str, Any]
) -> Iterator[PlanEntry]:
    _under_way[threading.get_ident()] = source
    try:
        module = load()
    except (Exception, SystemExit) as error:
        reason = f"could not be loaded: {type(error).__name__}: {error}"
        yield PlanEntry(name, source, None, reason, traceback.format_exc())
        return
    finally:
        _under_way.pop(threading.get_ident(), None)
    yield from _from_module(module, source, devices)


def being_imported(thread: threading.Thread) -> str | None:
    """Return the file or module that `find_plans` imports on a thread now; ``None`` for none."""
    return None if thread.ident is None else _under_way.get(thread.ident)


def import_file(path: Path) -> ModuleType:
    """Run a file as a module; what lies beside it can be imported by it.

    Parameters
    ----------
    path
        A Python file. The module has a name of its own, so that it hides no other one.

    Returns
    -------
    module
        The module, which is in `sys.modules` too: dataclasses look there.

    Raises
    ------
    ImportError
        If it is no Python file.
    Exception
        Whatever the code of the file raises.
    """
    # A name of its own, so that a user's `scan.py` hides no module of that name.
    digest = hashlib.sha1(str(path.resolve()).encode(), usedforsecurity=False).hexdigest()[:8]
    name = f"_freewheel_plans_{path.stem}_{digest}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        msg = f"{path} is no Python file"
        raise ImportError(msg)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickling look there
    sys.path.insert(0, str(path.parent))  # as if it ran as a script
    try:
        # Not from the bytecode cache, which takes a file that was saved twice within a second, at
        # the same length, for the first one.
        exec(compile(path.read_bytes(), str(path), "exec"), module.__dict__)
    except BaseException:
        if sys.modules.get(name) is module:  # and not that of a later try, on another thread
            del sys.modules[name]
        raise
    finally:
        sys.path.remove(str(path.parent))
    return module


def _from_module(
    module: ModuleType, source: str, devices: Mapping[str, Any]
) -> Iterator[PlanEntry]:
    listed = getattr(module, "__all__", None)
    names = listed if listed is not None else [n for n in vars(module) if not n.startswith("_")]
    # By what they are: bluesky's have older names beside theirs. A module can hold anything.
    candidates = {id(each): each for each in (getattr(module, name, None) for name in names)}
    for candidate in candidates.values():
        own = listed is not None or getattr(candidate, "__module__", "") == module.__name__
        if own and is_plan_function(candidate):
            yield _entry(candidate, source, devices)


def _entry(plan: Any, source: str, devices: Mapping[str, Any]) -> PlanEntry:
    name = plan_name(plan)
    try:
        return PlanEntry(name, source, create_plan_spec(plan, devices))
    except (TypeError, ValueError) as error:
        return PlanEntry(name, source, None, str(error))
