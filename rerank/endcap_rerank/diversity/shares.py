"""Shares of exposure: how much of a list is a brand's or a seller's, at least and at most.

For every beginning of the list, of m products, at least ⌊least·m⌋ and at most ⌈most·m⌉ of them are the
group's (Geyik, Ambler & Kenthapadi, KDD 2019): a share holds for who looks at the first places only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

_ROUNDING = 1e-9
"""0.1 · 3 is a little more than 0.3."""


@dataclass(frozen=True)
class Share:
    """What a group of candidates shall have of the list.

    Attributes:
        name: of the group, as notes report it.
        members: bool [n].
        least: guaranteed share, from 0 (none) to 1; kept while retrieval and caps leave a member.
        most: largest share, above 0 to 1 (no limit); kept while any other candidate is left.
    """

    name: str
    members: npt.NDArray[np.bool_]
    least: float = 0.0
    most: float = 1.0

    def room(self, count: int) -> int:
        """Most members among the first ``count``."""
        return math.ceil(self.most * count - _ROUNDING)


class Guarantee:
    """Tells when a product of a guaranteed share must be next.

    One is taken where the places up to some later one would otherwise not do for all that is guaranteed
    there: as late as possible, which leaves the best candidates their places. Where shares of disjoint groups
    sum to at most 1 all of them are kept, as long as there are candidates (earliest deadline first).
    """

    def __init__(self, shares: Sequence[Share], count: int) -> None:
        """
        Args:
            count: length of the list.
        """
        self._shares = [share for share in shares if share.least > 0.0]
        self._members: npt.NDArray[np.bool_] = np.stack([share.members for share in self._shares])
        least = np.array([share.least for share in self._shares])
        places = np.arange(1, count + 1)
        due = np.floor(least[:, None] * places + _ROUNDING).astype(np.int64)
        self._due = np.minimum(due, self._members.sum(axis=1)[:, None])
        self._places = places
        self._taken: npt.NDArray[np.int64] = np.zeros(len(self._shares), np.int64)
        self._free_until = 0

    def take(self, position: int) -> None:
        """Count the candidate at ``position``."""
        self._taken += self._members[:, position]

    def wanted(self, place: int, gains: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.bool_] | None:
        """Of which candidates one must be taken at ``place`` (from 0): bool [n]; None where any may be.

        Args:
            gains: [n], -inf for those that may not be taken.
        """
        if place < self._free_until:
            return None
        lacking = np.maximum(self._due[:, place:] - self._taken[:, None], 0)
        spare = self._places[: lacking.shape[1]] - lacking.sum(axis=0)
        if (least := int(spare.min())) > 0:
            self._free_until = place + least  # each place takes at most one
            return None
        tight = lacking[:, spare <= 0] > 0
        # A group that a limit closes for now is not given up: another's turn leaves it the later places.
        tight &= (self._members & (gains > -math.inf)).any(axis=1)[:, None]
        able = tight.any(axis=0)
        if not able.any():
            return None
        wanted: npt.NDArray[np.bool_] = self._members[tight[:, able.argmax()]].any(axis=0)
        return wanted

    @property
    def missed(self) -> tuple[str, ...]:
        """Names of the shares that the list, now complete, has not: too few candidates were left."""
        wanted = [math.floor(share.least * len(self._places) + _ROUNDING) for share in self._shares]
        return tuple(
            share.name
            for share, least, taken in zip(self._shares, wanted, self._taken.tolist(), strict=True)
            if taken < least
        )
