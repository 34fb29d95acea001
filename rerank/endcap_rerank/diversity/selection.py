"""The greedy loop that every strategy shares, and its result."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, overload

import numpy as np
import numpy.typing as npt

from endcap_rerank.diversity.calibration import Calibration, Pull
from endcap_rerank.diversity.caps import Cap, CapLedger
from endcap_rerank.diversity.exploration import Exploration
from endcap_rerank.diversity.shares import Guarantee, Share
from endcap_rerank.errors import InvalidInputError

Doubles = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]

TIE_BREAK = 1e-5
"""Weight that relevance keeps at diversity 1, where it decides only between equals. Ten times as much changed
lists that were no ties; less would be lost in float32 beside the logarithms of the DPP."""

NEGLIGIBLE = 1e-6
"""Diversity up to which relevance alone decides: float32 would not hold more of the rest beside it."""


@dataclass(frozen=True)
class Selection:
    """What a strategy selected, in order.

    Attributes:
        rows: int64 [min(k, n)], positions among the candidates; fewer under strict rules that cannot be kept.
        gains: float64, the criterion's value of each at the moment it was taken.
        exceeded: names of the caps, and of the limits of shares, that could not be kept.
        missed: names of the guaranteed shares that could not be kept.
    """

    rows: npt.NDArray[np.int64]
    gains: Doubles
    exceeded: tuple[str, ...] = ()
    missed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rules:
    """What a list must keep to, whatever its strategy.

    Attributes:
        caps: most candidates per code; kept while any candidate can keep them.
        first: positions to take first, in this order.
        calibration: the mix that the list should have.
        exploration: places for new products; caps and shares go before them.
        shares: of groups, at least and at most; caps go before what is guaranteed.
        strict: whether the list ends where caps and shares at most cannot be kept any more.
    """

    caps: Sequence[Cap] = ()
    first: Sequence[int] = ()
    calibration: Calibration | None = None
    exploration: Exploration | None = None
    shares: Sequence[Share] = ()
    strict: bool = False

    @property
    def free(self) -> bool:
        """Whether gains alone decide what follows ``first``."""
        return not (self.caps or self.calibration or self.exploration or self.shares)


NO_RULES = Rules()

CLOSED = -math.inf
"""Gain of a candidate that may not be taken."""


class Criterion(Protocol):
    """What a strategy adds to relevance, step by step.

    Attributes:
        common: what is added to all candidates alike; left out of ``gains``.
    """

    common: float

    def take(self, position: int, base: Floats, gains: Floats) -> None:
        """Learn that the candidate at ``position`` is selected and write base + spread to ``gains``."""

    def spread(self) -> Floats:
        """What diversity is worth for each candidate now, less ``common``: a new float32 [n]."""


class RelevanceOnly:
    """The criterion of no diversity."""

    common = 0.0

    def take(self, position: int, base: Floats, gains: Floats) -> None:
        """Nothing but ``base`` counts."""
        gains[:] = base

    def spread(self) -> Floats:
        """Nothing."""
        return np.zeros(1, np.float32)


@overload
def greedy(
    relevance: Floats, criterion: Criterion, k: int, unit: float = 1.0, rules: Rules = NO_RULES
) -> Selection: ...
@overload
def greedy(
    relevance: Floats, criterion: Criterion, k: int, unit: float, rules: Rules, bound: float
) -> Selection | None: ...
def greedy(
    relevance: Floats,
    criterion: Criterion,
    k: int,
    unit: float = 1.0,
    rules: Rules = NO_RULES,
    bound: float | None = None,
) -> Selection | None:
    """Take ``rules.first``, then the open candidate of the largest relevance + spread, up to k.

    Of equal gains the lower position wins. A closed candidate (selected, or beyond a cap) is one whose
    base is -inf, so that caps cost nothing in the steps that close none.

    Args:
        relevance: float32 [n], weighted as the strategy weighs it, divided by ``unit``.
        unit: of the gains; strategies divide by the weight of the spread rather than multiply n numbers
            by it at each step.
        bound: largest gain that a candidate which is not among these may have.

    Returns:
        None where a gain, other than of ``rules.first``, does not exceed ``bound``: there another candidate
        might have been taken.
    """
    count, first, exploration = min(k, len(relevance)), rules.first, rules.exploration
    pinned = len(first)
    if rules.calibration is not None:
        criterion = _Calibrated(criterion, Pull(rules.calibration, unit))
    ledger = CapLedger(relevance, rules.caps, rules.shares) if rules.caps or rules.shares else None
    guarantee = Guarantee(rules.shares, count) if any(share.least > 0.0 for share in rules.shares) else None
    base = relevance.copy() if ledger is None else ledger.base
    gains = relevance + criterion.spread()
    rows: list[int] = []
    values: list[float] = []
    explored = 0
    for step in range(count):
        best = first[step] if step < pinned else int(gains.argmax())
        if step >= pinned and (exploration is not None or guarantee is not None):
            new = exploration.new if exploration is not None and exploration.due(step, explored) else None
            wanted = None if guarantee is None else guarantee.wanted(step, gains)
            if wanted is not None or new is not None:
                best = _best_of(gains, wanted, new)
        value = gains.item(best)
        if value == CLOSED:  # a pin beyond a cap, or nothing fits the caps any more
            if rules.strict:
                break
            whole = relevance + criterion.spread()
            if ledger is not None and step >= pinned:
                best = int(np.where(ledger.least_excess(), whole, -math.inf).argmax())
            value = whole.item(best)
        if bound is not None and value <= bound and step >= pinned:
            return None
        rows.append(best)
        values.append(value + criterion.common)
        if exploration is not None:
            explored += bool(exploration.new[best])
        if guarantee is not None:
            guarantee.take(best)
        if ledger is None:
            base[best] = CLOSED
        else:
            ledger.take(best)
        if step + 1 < count:
            criterion.take(best, base, gains)
    return Selection(
        np.array(rows, np.int64),
        np.array(values, np.float64) * unit,
        () if ledger is None else ledger.exceeded,
        () if guarantee is None else guarantee.missed,
    )


def _best_of(gains: Floats, wanted: npt.NDArray[np.bool_] | None, new: npt.NDArray[np.bool_] | None) -> int:
    """The open candidate of the largest gain that is wanted and new, else wanted, else new, else any."""
    groups = [wanted & new] if wanted is not None and new is not None else []
    for group in (*groups, wanted, new):
        if group is not None:
            best = int(np.where(group, gains, CLOSED).argmax())
            if group[best] and gains[best] > CLOSED:
                return best
    return int(gains.argmax())


class _Calibrated:
    """A criterion, and the pull towards a mix."""

    def __init__(self, criterion: Criterion, pull: Pull) -> None:
        self._criterion = criterion
        self._pull = pull
        self.common = criterion.common

    def take(self, position: int, base: Floats, gains: Floats) -> None:
        self._criterion.take(position, base, gains)
        self.common = self._criterion.common
        self._pull.take(position)
        gains += self._pull.values()

    def spread(self) -> Floats:
        return self._criterion.spread() + self._pull.values()


def by_relevance(values: Doubles, k: int, rules: Rules) -> Selection:
    """The selection at diversity 0: the order of :func:`scaled` relevance exactly, as the rules allow."""
    if rules.calibration is not None:
        return greedy(weighted(values, 0.0, 1.0), RelevanceOnly(), k, 1.0, rules)
    # Ranks instead of values: float32 would make equals of candidates that differ by little.
    ranks = np.empty(len(values), np.float32)
    ranks[np.argsort(-values, kind="stable")] = -np.arange(len(values), dtype=np.float32)
    found = greedy(ranks, RelevanceOnly(), k, 1.0, rules)
    return replace(found, gains=values[found.rows])


def weighted(values: Doubles, diversity: float, divisor: float | None = None) -> Floats:
    """(1-θ)·``values`` divided by θ, or by ``divisor``; TIE_BREAK instead of 1-θ at θ = 1."""
    return (values * (max(1.0 - diversity, TIE_BREAK) / (divisor or diversity))).astype(np.float32)


def scaled(relevance: npt.NDArray[np.floating[Any]], unit: float | None = None) -> Doubles:
    """Relevance on the scale of the strategies: 0 for the best candidate, -1 for one a ``unit`` below it.

    The strategies weigh relevance against similarities, so it needs a unit. Where the caller knows none it
    is the distance from the best candidate to the median one, which does not stretch with one outlier at
    the bottom, as the full range would.
    """
    values = np.asarray(relevance, dtype=np.float64)
    size = len(values)
    if not size:
        return values
    ordered = np.partition(values, (size // 2, size - 1))
    top = ordered.item(size - 1)
    if unit is None:
        unit = top - ordered.item(size // 2)
        if unit <= 0.0:
            unit = top - values.item(values.argmin())
    return (values - top) / unit if unit > 0.0 else np.zeros_like(values)


def check(
    relevance: npt.NDArray[np.floating[Any]],
    size: int,
    k: int,
    diversity: float,
    rules: Rules = NO_RULES,
    unit: float | None = None,
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
    if unit is not None and not 0.0 < unit < math.inf:
        raise InvalidInputError("unit", unit, "a number above 0 is expected")
    for cap in rules.caps:
        if cap.codes.shape != (size,):
            raise InvalidInputError(f"caps.{cap.name}", cap.codes.shape, f"{size} codes are expected")
        if cap.limit < 1:
            raise InvalidInputError(f"caps.{cap.name}", cap.limit, "at least 1 is expected")
        if cap.window is not None and cap.window < 2:
            raise InvalidInputError(f"caps.{cap.name}", cap.window, "a window of at least 2 is expected")
    first = rules.first
    if first and (len(set(first)) != len(first) or any(not 0 <= position < size for position in first)):
        raise InvalidInputError("first", first, f"distinct positions from 0 to {size - 1} are expected")
    if (calibration := rules.calibration) is not None:
        if calibration.codes.shape != (size,) or calibration.shares.shape != (size,):
            raise InvalidInputError("calibration", calibration.codes.shape, f"{size} codes are expected")
        if not 0.0 <= calibration.weight < math.inf:
            raise InvalidInputError("calibration.weight", calibration.weight, "0 or more is expected")
    for share in rules.shares:
        if share.members.shape != (size,):
            raise InvalidInputError(f"shares.{share.name}", share.members.shape, f"{size} flags are expected")
        if not (0.0 <= share.least <= share.most <= 1.0 and share.most > 0.0):
            expected = "0 <= least <= most <= 1 and most above 0 are expected"
            raise InvalidInputError(f"shares.{share.name}", (share.least, share.most), expected)
    if (exploration := rules.exploration) is not None:
        if exploration.new.shape != (size,):
            raise InvalidInputError("exploration", exploration.new.shape, f"{size} flags are expected")
        if not 0.0 <= exploration.share <= 1.0:
            raise InvalidInputError("exploration.share", exploration.share, "from 0 to 1 is expected")
