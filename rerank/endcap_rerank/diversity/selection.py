"""The greedy loop that every strategy shares, and its result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from endcap_rerank.diversity.caps import Cap, CapLedger
from endcap_rerank.errors import InvalidInputError

Doubles = npt.NDArray[np.float64]

TIE_BREAK = 1e-6
"""Weight that relevance keeps at diversity 1, where it decides only between equals."""


@dataclass(frozen=True)
class Selection:
    """What a strategy selected, in order.

    Attributes:
        rows: int64 [min(k, n)], positions among the candidates.
        gains: float64 [min(k, n)], the criterion's value of each at the moment it was taken.
        exceeded: names of the caps that could not be kept.
    """

    rows: npt.NDArray[np.int64]
    gains: Doubles
    exceeded: tuple[str, ...] = ()


class Criterion(Protocol):
    """What a strategy maximizes, step by step."""

    def gains(self) -> Doubles:
        """Value of taking each candidate next: float64 [n]; the array is the caller's to change."""

    def take(self, position: int) -> None:
        """Learn that the candidate at ``position`` is selected."""


def greedy(
    criterion: Criterion, size: int, k: int, caps: Sequence[Cap] = (), first: Sequence[int] = ()
) -> Selection:
    """Take ``first``, then the candidate of the largest gain that the caps leave open, up to k.

    Of equal gains the lower position wins.
    """
    count = min(k, size)
    ledger = CapLedger(size, caps)
    rows = np.empty(count, dtype=np.int64)
    values = np.empty(count, dtype=np.float64)
    for step in range(count):
        gains = criterion.gains()
        if step < len(first):
            best = first[step]
        else:
            ledger.close(gains)
            best = int(gains.argmax())
        rows[step] = best
        values[step] = gains[best]
        ledger.take(best)
        if step + 1 < count:
            criterion.take(best)
    return Selection(rows, values, ledger.exceeded)


def scaled(relevance: npt.NDArray[np.floating[Any]]) -> Doubles:
    """Relevance on a scale of its own: 0 for the best candidate, -1 for the median one.

    The strategies weigh relevance against similarities, so it needs a unit. The distance from the best
    to the median does not stretch with one outlier at the bottom, as the full range would.
    """
    values = np.asarray(relevance, dtype=np.float64)
    if not len(values):
        return values
    top = values.max()
    spread = top - np.partition(values, len(values) // 2)[len(values) // 2]
    if spread <= 0.0:
        spread = top - values.min()
    return (values - top) / spread if spread > 0.0 else np.zeros_like(values)


def check(
    relevance: npt.NDArray[np.floating[Any]],
    size: int,
    k: int,
    diversity: float,
    caps: Sequence[Cap],
    first: Sequence[int],
) -> None:
    """The one gate of every strategy's input.

    Raises:
        InvalidInputError: names the argument.
    """
    if relevance.shape != (size,):
        raise InvalidInputError("relevance", relevance.shape, f"[{size}] is expected, as the kernel has")
    if not np.isfinite(relevance).all():
        raise InvalidInputError("relevance", relevance, "finite numbers are expected")
    if k < 0:
        raise InvalidInputError("k", k, "0 or more is expected")
    if not 0.0 <= diversity <= 1.0:
        raise InvalidInputError("diversity", diversity, "a number from 0 to 1 is expected")
    for cap in caps:
        if cap.codes.shape != (size,):
            raise InvalidInputError(f"caps.{cap.name}", cap.codes.shape, f"{size} codes are expected")
        if cap.limit < 1:
            raise InvalidInputError(f"caps.{cap.name}", cap.limit, "at least 1 is expected")
    if len(set(first)) != len(first) or any(not 0 <= position < size for position in first):
        raise InvalidInputError("first", first, f"distinct positions from 0 to {size - 1} are expected")
