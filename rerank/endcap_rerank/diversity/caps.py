"""Attribute caps: at most so many products of one brand, of one category."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

_TAKEN = np.int32(2**30)


@dataclass(frozen=True)
class Cap:
    """At most ``limit`` of the selected candidates share a code.

    Attributes:
        name: of the attribute, as notes report it.
        codes: int [n]; a negative code is unknown and falls under no cap.
        limit: at least 1.
    """

    name: str
    codes: npt.NDArray[np.integer[Any]]
    limit: int


class CapLedger:
    """Counts what is taken and tells which candidates may follow.

    While any candidate fits every cap, only such candidates are open. When none is left, those that
    exceed the caps by the least are, so that a cap which cannot be kept does not undo the others.
    """

    def __init__(self, size: int, caps: Sequence[Cap]) -> None:
        self._caps = caps
        self._counts: list[dict[int, int]] = [{} for _ in caps]
        self._taken: list[int] = []
        self._full = False
        # By how many products, over all caps, taking a candidate now would exceed them.
        self._excess = np.zeros(size, dtype=np.int32)

    def take(self, position: int) -> None:
        """Record that the candidate at ``position`` is selected."""
        self._excess[position] = _TAKEN
        self._taken.append(position)
        for cap, counts in zip(self._caps, self._counts, strict=True):
            code = int(cap.codes[position])
            if code < 0:
                continue
            counts[code] = count = counts.get(code, 0) + 1
            if count >= cap.limit:
                self._excess += cap.codes == code
                self._full = True

    def close(self, gains: npt.NDArray[np.float64]) -> None:
        """Set the gain of every candidate that may not be selected next to -inf."""
        if self._full:
            gains[self._excess > self._excess.min()] = -math.inf
        else:
            gains[self._taken] = -math.inf

    @property
    def exceeded(self) -> tuple[str, ...]:
        """Names of the caps that the selection goes beyond."""
        return tuple(
            cap.name
            for cap, counts in zip(self._caps, self._counts, strict=True)
            if any(count > cap.limit for count in counts.values())
        )
