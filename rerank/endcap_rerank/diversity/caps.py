"""Attribute caps: at most so many products of one brand, of one category, in the list or in any stretch."""

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
        window: the cap holds within any so many consecutive ones; within the whole list when None.
    """

    name: str
    codes: npt.NDArray[np.integer[Any]]
    limit: int
    window: int | None = None


class CapLedger:
    """Counts what is taken and tells which candidates may follow.

    While any candidate fits every cap, only such candidates are open. When none is left, those that
    exceed the caps by the least are, so that a cap which cannot be kept does not undo the others.

    Attributes:
        base: float32 [n], the relevance of open candidates and -inf for the others.
    """

    def __init__(self, relevance: npt.NDArray[np.float32], caps: Sequence[Cap]) -> None:
        self.base = relevance.copy()
        self._relevance = relevance
        self._caps = caps
        self._counts: list[dict[int, int]] = [{} for _ in caps]
        self._order: list[int] = []
        self._exceeded: set[str] = set()
        # By how many products, over all caps, taking a candidate now would exceed them.
        self._excess = np.zeros(len(relevance), dtype=np.int32)

    def take(self, position: int) -> None:
        """Record that the candidate at ``position`` is selected."""
        self.base[position] = -math.inf
        self._excess[position] += _TAKEN
        if not self._caps:
            return
        self._order.append(position)
        for cap, counts in zip(self._caps, self._counts, strict=True):
            if cap.window is not None and len(self._order) >= cap.window:
                self._leave(cap, counts, int(cap.codes[self._order[-cap.window]]))
            code = int(cap.codes[position])
            if code < 0:
                continue
            counts[code] = count = counts.get(code, 0) + 1
            if count > cap.limit:
                self._exceeded.add(cap.name)
            if count >= cap.limit:
                alike = cap.codes == code
                self._excess += alike
                np.putmask(self.base, alike, -math.inf)

    def _leave(self, cap: Cap, counts: dict[int, int], code: int) -> None:
        """A candidate of this code falls out of the window that the next one closes."""
        if code < 0:
            return
        counts[code] -= 1
        if counts[code] + 1 >= cap.limit:
            alike = cap.codes == code
            self._excess -= alike
            alike &= self._excess == 0
            self.base[alike] = self._relevance[alike]

    def least_excess(self) -> npt.NDArray[np.bool_]:
        """Which of the candidates left exceed the caps by the least: bool [n]."""
        open_now: npt.NDArray[np.bool_] = self._excess == self._excess.min()
        return open_now

    @property
    def exceeded(self) -> tuple[str, ...]:
        """Names of the caps that the selection goes beyond."""
        return tuple(dict.fromkeys(cap.name for cap in self._caps if cap.name in self._exceeded))
