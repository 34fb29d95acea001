"""Attribute caps: at most so many products of one brand, of one category, in the list or in any stretch.

The limits of shares are kept with them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from endcap_rerank.diversity.shares import Share

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

    def among(self, positions: npt.NDArray[np.int64]) -> Cap:
        """The cap on some of the candidates, in this order."""
        return replace(self, codes=self.codes[positions])

    def room(self) -> int:
        """How many of the candidates a list can hold under this cap alone; windows are not reckoned with."""
        if self.window is not None:
            return len(self.codes)
        ordered = np.sort(self.codes[self.codes >= 0])
        # A candidate is beyond the limit where the one so many places before it is of its code.
        beyond = np.count_nonzero(ordered[self.limit :] == ordered[: -self.limit])
        return len(self.codes) - beyond


class CapLedger:
    """Counts what is taken and tells which candidates may follow.

    While any candidate fits every cap, only such candidates are open. When none is left, those that
    exceed the caps by the least are, so that a cap which cannot be kept does not undo the others.

    Attributes:
        base: float32 [n], the relevance of open candidates and -inf for the others.
    """

    def __init__(
        self, relevance: npt.NDArray[np.float32], caps: Sequence[Cap], shares: Sequence[Share] = ()
    ) -> None:
        self.base = relevance.copy()
        self._relevance = relevance
        self._caps = caps
        self._counts: list[dict[int, int]] = [{} for _ in caps]
        self._shares = [share for share in shares if share.most < 1.0]
        self._held = [0] * len(self._shares)
        self._full = [False] * len(self._shares)
        self._order: list[int] = []
        self._exceeded: set[str] = set()
        # By how many products, over all caps, taking a candidate now would exceed them.
        self._excess = np.zeros(len(relevance), dtype=np.int32)

    def take(self, position: int) -> None:
        """Record that the candidate at ``position`` is selected."""
        self.base[position] = -math.inf
        self._excess[position] += _TAKEN
        if not (self._caps or self._shares):
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

        for at, share in enumerate(self._shares):
            self._weigh(at, share, position)

    def _weigh(self, at: int, share: Share, position: int) -> None:
        """Close or open the members of a share for the next place."""
        places = len(self._order)
        if share.members[position]:
            self._held[at] += 1
            if self._held[at] > share.room(places):
                self._exceeded.add(share.name)
        full = self._held[at] >= share.room(places + 1)
        if full == self._full[at]:
            return
        self._full[at] = full
        if full:
            self._excess += share.members
            np.putmask(self.base, share.members, -math.inf)
        else:
            self._excess -= share.members
            open_now = share.members & (self._excess == 0)
            self.base[open_now] = self._relevance[open_now]

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
        """Names of the caps and shares that the selection goes beyond."""
        limits: list[Cap | Share] = [*self._caps, *self._shares]
        return tuple(dict.fromkeys(one.name for one in limits if one.name in self._exceeded))
