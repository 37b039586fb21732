"""Arrays that are read when they are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from ._arrays import ArrayReader

__all__ = ["LazyArray"]


@dataclass(frozen=True, slots=True)
class LazyArray:
    """Stands for an array in a document whose arrays were not read."""

    reader: ArrayReader
    path: Path
    dataset: str
    index: int
    key: str

    def load(self) -> np.ndarray:
        """Read it; raises `MissingArrayError` when that is not possible."""
        return self.reader.read(self.path, self.dataset, self.index, self.key)
