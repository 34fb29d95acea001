"""Two releases compared on live traffic: side by side, or in interleaved lists."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from endcap_export.clicks import Propensities
from endcap_export.evaluate.bootstrap import Estimate, estimate
from endcap_export.monitor.engagement import (
    CLICKS,
    GAINED,
    IDEAL,
    SHOWN,
    Engagement,
    engagement,
    groups_of,
    ratio,
    sums_of,
)
from endcap_export.monitor.lists import ShownList


@dataclass(frozen=True)
class SideBySide:
    """Two releases, each with shoppers of its own.

    Attributes:
        first, second: ids of the releases.
        engagements: of the first and of the second.
        click_through, ndcg: second less first; None where one side has no figure.
        both: shoppers that were shown lists of both. A split leaves none; they blur the comparison.
    """

    first: str
    second: str
    engagements: tuple[Engagement, Engagement]
    click_through: Estimate | None
    ndcg: Estimate | None
    both: int


@dataclass(frozen=True)
class Interleaved:
    """Two releases in the same lists.

    Attributes:
        first, second: ids of the releases.
        wins: lists in which more was taken of the first, and of the second.
        ties: lists in which as much was taken of both.
        lead: (wins of the second - wins of the first) / lists; bootstrap over shoppers. None without lists.
        chance: probability of wins as uneven as these if both were as good (sign test, both sides).
    """

    first: str
    second: str
    wins: tuple[int, int]
    ties: int
    lead: Estimate | None
    chance: float


def side_by_side(
    lists: Sequence[ShownList], first: str, second: str, looked: Propensities, *, impressions: bool
) -> SideBySide:
    """Compare the lists of two releases.

    Args:
        lists: of any releases.
        looked, impressions: as in ``engagement``.
    """
    sides = [[one for one in lists if one.release == release] for release in (first, second)]
    groups = groups_of([*sides[0], *sides[1]])
    # The groups are drawn for both sides together; a shopper is on one side, so they are independent.
    tables = np.zeros((2, max(groups.values(), default=-1) + 1, 4))
    for table, side in zip(tables, sides, strict=True):
        made = sums_of(side, looked, groups)
        table[: len(made)] = made
    users = [{one.user for one in side} for side in sides]

    def difference(above: int, below: int) -> Estimate | None:
        if not (tables[:, :, below].sum(axis=1) > 0).all():
            return None
        return estimate(lambda a, b: ratio(b, above, below) - ratio(a, above, below), *tables)

    return SideBySide(
        first,
        second,
        (
            engagement(sides[0], looked, impressions=impressions),
            engagement(sides[1], looked, impressions=impressions),
        ),
        difference(CLICKS, SHOWN) if impressions else None,
        difference(GAINED, IDEAL),
        len(users[0] & users[1]),
    )


def interleaved(lists: Sequence[ShownList], first: str, second: str) -> Interleaved:
    """Who won in lists that a team draft made of two releases.

    Args:
        lists: made with ``interleaved=True``. Counted are those of which something was taken that one of the
            two had chosen, and that were not all one release's as far as views tell.
    """
    groups = groups_of(lists)
    table = np.zeros((max(groups.values(), default=-1) + 1, 3))
    for one in lists:
        shown = {one.teams[place] for place in one.shown}
        credit = [sum(one.teams[place] == team for place in one.taken) for team in (first, second)]
        if not any(credit) or (shown and not {first, second} <= shown):
            continue
        table[groups[one.user], int(np.sign(credit[1] - credit[0]))] += 1.0
    ties, second_wins, first_wins = (int(count) for count in table.sum(axis=0))
    lead = None
    if table.any():
        lead = estimate(_lead, table)
    return Interleaved(
        first, second, (first_wins, second_wins), ties, lead, sign_test(first_wins, second_wins)
    )


def sign_test(one: int, other: int) -> float:
    """Probability that a fair coin falls as unevenly as ``one`` to ``other``, or more, to either side."""
    tosses, least = one + other, min(one, other)
    # In logarithms: the binomial coefficients of many tosses are no floats.
    terms = [
        math.lgamma(tosses + 1) - math.lgamma(heads + 1) - math.lgamma(tosses - heads + 1)
        for heads in range(least + 1)
    ]
    return min(1.0, 2.0 * math.fsum(math.exp(term - tosses * math.log(2.0)) for term in terms))


def _lead(sums: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Ties, wins of the second, wins of the first (its column is -1) as a share."""
    whole = sums.sum(axis=-1)
    return np.asarray((sums[..., 1] - sums[..., 2]) / np.where(whole > 0, whole, 1.0))
