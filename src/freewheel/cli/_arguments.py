"""From the words behind ``FILE:PLAN`` to the plan's arguments, and the help about them."""

from __future__ import annotations

import ast
import inspect
from typing import TYPE_CHECKING, Any, Final

import typer

from ._output import say

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from freewheel.forms import ParamDescription, PlanSpec

__all__ = ["bound_arguments", "plan_help"]


def bound_arguments(
    function: Any, words: Sequence[str], devices: Mapping[str, Any], *, hint: str = ""
) -> tuple[Sequence[Any], Mapping[str, Any]]:
    """Return the arguments to call a plan function with.

    Where the function is annotated, values are checked against that. Where it is not, a word is
    the device of that name, or else what Python makes of it, or else a text; ``[a, b]`` are
    several.

    Parameters
    ----------
    function : callable
        The plan function.
    words : sequence of str
        ``--name value``, ``--name=value``, and ``--name`` alone, which means true.
    devices : mapping
        Devices by name.
    hint : str
        Is added to what is said where a device is missing.

    Raises
    ------
    typer.BadParameter
        If they don't fit.
    """
    spec = _spec(function, devices)
    try:
        if spec is not None:
            return _checked(spec, words, devices)
        return _guessed(function, words, devices, hint)
    except ValueError as error:
        text = str(error)
        about_devices = spec is not None and any(
            each.device_proto is not None and f"{each.name}:" in text for each in spec.parameters
        )
        raise typer.BadParameter(f"{text}{hint if about_devices else ''}") from None


def _spec(function: Any, devices: Mapping[str, Any]) -> PlanSpec | None:
    """Return the description of a plan, if its signature says enough for one."""
    from freewheel.forms import FieldType, PlanSpec, create_plan_spec

    known = getattr(function, "spec", None)  # of one that is elsewhere
    try:
        spec = known if isinstance(known, PlanSpec) else create_plan_spec(function, devices)
    except (TypeError, ValueError):
        return None
    # Groups of arguments are written one after the other, as they are in a call.
    rows = any(parameter.field is FieldType.ROWS for parameter in spec.parameters)
    return None if rows else spec


def _checked(
    spec: PlanSpec, words: Sequence[str], devices: Mapping[str, Any]
) -> tuple[Sequence[Any], Mapping[str, Any]]:
    from freewheel.forms import collect_arguments, resolve_arguments

    values: dict[str, Any] = {}
    known = {parameter.name: parameter for parameter in spec.parameters}
    for name, text in _pairs(words):
        parameter = known.get(name)
        if parameter is not None and _takes_several(parameter):
            values.setdefault(name, []).append(text)
        elif name in values:
            message = f"--{name} is given twice"
            raise ValueError(message)
        else:
            values[name] = text
    return collect_arguments(spec, resolve_arguments(spec, values, devices))


def _takes_several(parameter: ParamDescription) -> bool:
    return parameter.multiselect or parameter.container is not None


def _guessed(
    function: Any, words: Sequence[str], devices: Mapping[str, Any], hint: str
) -> tuple[Sequence[Any], Mapping[str, Any]]:
    signature = inspect.signature(function)
    values: dict[str, Any] = {}
    for name, text in _pairs(words):
        value = _guess(text, devices)
        for word in _words(text):  # one in quotes is meant as a text
            if _guess(word, devices) == word and all(map(str.isidentifier, word.split("."))):
                _take_as_text(signature, name, word, hint)
        if name in values:
            before = values[name]
            values[name] = [*(before if isinstance(before, list) else [before]), value]
        else:
            values[name] = value
    several = _by_position(signature, values)
    try:
        signature.bind(*several, **values)
    except TypeError as error:
        shown = ", ".join(f"--{name}" for name in signature.parameters)
        message = f"{_name_of(function)}: {error}; there are: {shown or 'no arguments'}"
        raise ValueError(message) from None
    return several, values


def _take_as_text(signature: inspect.Signature, name: str, text: str, hint: str) -> None:
    """Say that what may be meant as a device is taken as a text.

    Raises
    ------
    ValueError
        If no device is on offer at all, and a value is needed: it is a device that is missing.
    """
    parameter = signature.parameters.get(name)
    if hint and parameter is not None and parameter.default is parameter.empty:
        message = f"--{name}: there is no device {text!r}{hint}; for a text write \"'{text}'\""
        raise ValueError(message)
    say(f"--{name}: there is no device {text!r}, so it is taken as a text{hint}.")


def _by_position(signature: inspect.Signature, values: dict[str, Any]) -> list[Any]:
    """Take out of ``values`` what can only go by position: ``*args`` and what stands before."""
    several = next(
        (p.name for p in signature.parameters.values() if p.kind is p.VAR_POSITIONAL), ""
    )
    if several not in values:
        return []
    given = values.pop(several)
    names = list(signature.parameters)
    before = [values.pop(name) for name in names[: names.index(several)] if name in values]
    return [*before, *(given if isinstance(given, list) else [given])]


def _name_of(function: Any) -> str:
    return str(getattr(function, "__name__", function))


def _guess(text: Any, devices: Mapping[str, Any]) -> Any:
    if not isinstance(text, str):
        return text
    if (device := _device(text, devices)) is not None:
        return device
    if text.startswith("[") and text.endswith("]"):
        return [_guess(word, devices) for word in _words(text)]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _words(text: Any) -> list[str]:
    """Return what stands in ``[a, b]``, or the text alone; nothing for what is no text."""
    if not isinstance(text, str):
        return []
    if text.startswith("[") and text.endswith("]"):
        return [word.strip() for word in text[1:-1].split(",") if word.strip()]
    return [text]


def _device(text: str, devices: Mapping[str, Any]) -> Any:
    from freewheel.forms import find_device

    return find_device(devices, text)


def _pairs(given: Sequence[str]) -> Iterator[tuple[str, Any]]:
    words = list(given)
    while words:
        word = words.pop(0)
        if not word.startswith("--"):
            message = f"{word!r} belongs to no argument; write --name {word}"
            raise ValueError(message)
        name, equals, text = word[2:].partition("=")
        if equals:
            yield name.replace("-", "_"), text
        elif words and not words[0].startswith("--"):
            yield name.replace("-", "_"), words.pop(0)
        else:
            yield name.replace("-", "_"), True


_GUESSED = (
    "It is not annotated, or not so that values could be checked: a value is the device of that "
    "name, or else what Python makes of it, or else a text. Several: '[camera, stage.x]'."
)


# -- help ---------------------------------------------------------------------------------------


def plan_help(usage: str, function: Any, devices: Mapping[str, Any]) -> str:
    """Return what a plan does, and which arguments it takes, as a text.

    Parameters
    ----------
    usage : str
        How it is called, such as ``"freewheel run my_plans.py:scan"``.
    function : callable
        The plan function.
    devices : mapping
        Devices by name: those that fit are listed.
    """
    spec = _spec(function, devices)
    if spec is not None:
        rows = [_row(each) for each in spec.parameters if not each.hidden and each.actions is None]
        actions = [f"  {each.name}  {each.description}".rstrip() for each in spec.actions]
        about = spec.docs.split("\n\nParameters\n", 1)[0].strip()
    else:
        rows = [_bare_row(each) for each in inspect.signature(function).parameters.values()]
        actions, about = [], f"{inspect.getdoc(function) or ''}\n\n{_GUESSED}".strip()
    lines = [f"Usage: {usage} [--ARGUMENT VALUE]...", "", *_indented(about), ""]
    if rows:
        widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
        lines.append("Arguments:")
        lines += [
            f"  {name:<{widths[0]}}  {kind:<{widths[1]}}  {text}".rstrip()
            for name, kind, text in rows
        ]
    else:
        lines.append("It takes no arguments.")
    if actions:
        lines += ["", "Actions, triggered with --action NAME or a key:", *actions]
    return "\n".join(lines)


_NO_DEVICE: Final = "(no device is on offer: --sim and --devices offer some)"


def _row(parameter: ParamDescription) -> tuple[str, str, str]:
    """Return name, kind and text of a parameter."""
    kind = str(parameter.field)
    if _takes_several(parameter):
        kind += ", repeated"
    if parameter.unit:
        kind += f" [{parameter.unit}]"
    texts = [" ".join(parameter.docs.split())]
    if parameter.choices is not None:
        shown = ", ".join(str(getattr(each, "name", each)) for each in parameter.choices)
        texts.append(f"(one of: {shown})" if shown else _NO_DEVICE)
    if parameter.required:
        texts.append("(required)")
    elif parameter.has_default and parameter.default is not None:
        texts.append(f"(default: {parameter.default})")
    return f"--{parameter.name}", kind, " ".join(filter(None, texts))


def _bare_row(parameter: inspect.Parameter) -> tuple[str, str, str]:
    several = "list" if parameter.kind is parameter.VAR_POSITIONAL else ""
    has_default = parameter.default is not parameter.empty
    text = f"(default: {parameter.default})" if has_default else ""
    return f"--{parameter.name}", several, text


def _indented(text: str) -> list[str]:
    return [f"  {line}".rstrip() for line in text.splitlines()]
