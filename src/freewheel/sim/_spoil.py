"""Readings as a broken device would give them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np


def with_nan(answer: Any) -> Any:
    """Return what a device answered, with NaN for each number."""
    return _mapped(answer, _nan)


def with_wrong_shape(answer: Any, shape: tuple[int, ...] | None) -> Any:
    """Return what a device answered, with arrays of another shape."""
    return _mapped(answer, lambda value: _misshapen(value, shape))


def _mapped(answer: Any, change: Callable[[Any], Any]) -> Any:
    """Change the values of readings, of one location, or a bare value."""
    if not isinstance(answer, Mapping):
        return change(answer)
    return {
        key: {**part, "value": change(part["value"])}
        if isinstance(part, Mapping) and "value" in part
        else change(part)
        for key, part in answer.items()
    }


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def _nan(value: Any) -> Any:
    if isinstance(value, np.ndarray) and value.dtype.kind in "iufc":
        dtype = value.dtype if value.dtype.kind in "fc" else np.dtype(np.float64)
        return np.full(value.shape, math.nan, dtype=dtype)
    return math.nan if _is_number(value) else value


def _misshapen(value: Any, shape: tuple[int, ...] | None) -> Any:
    if not isinstance(value, np.ndarray):
        return np.full(shape or (2,), value) if _is_number(value) else value
    if shape is not None:
        return np.resize(value, shape)
    return np.resize(value, (2,)) if value.ndim == 0 else value[:-1].copy()
