"""What shoppers take of what they are shown: click-through by place and by release, nDCG by clicks.

Shoppers look at the first places most. A click at a place that a share p of them looks at stands for 1/p that
would have been made, had all looked (Joachims, Swaminathan and Schnabel, WSDM 2017); p is that of
``endcap_export.clicks``. With these as gains,

    nDCG@10 = Σ DCG / Σ ideal DCG

over lists of which something was taken; the ideal list has the same products, those with the largest gains
first. What nobody clicked counts as not relevant, so this is no nDCG of judged products: it is there to be
compared, over time and between releases.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from endcap_export.clicks import CLIP, MIN_SHOWN, Propensities, assumed
from endcap_export.evaluate.bootstrap import Estimate, estimate
from endcap_export.monitor.lists import ShownList

Doubles = npt.NDArray[np.float64]

PLACES = 20
"""Places of which click-through is told one by one."""
AT = 10
"""nDCG looks at so many places."""
GROUPS = 1000
"""Most groups of shoppers among which the bootstrap draws; with more shoppers than that each has several."""

CLICKS, SHOWN, GAINED, IDEAL = range(4)
"""Columns of ``sums_of``."""


@dataclass(frozen=True)
class Rate:
    """A share with its 95 % interval and what it is made of; bootstrap over shoppers.

    Attributes:
        value: None where the number of cases is 0 or not known.
        of: cases.
    """

    value: Estimate | None
    of: int


@dataclass(frozen=True)
class Engagement:
    """What shoppers did with some lists.

    Attributes:
        lists: how many.
        shoppers: whose.
        click_through: of products shown; None where too few places have a view.
        ndcg: nDCG@10 by clicks.
    """

    lists: int
    shoppers: int
    click_through: Rate
    ndcg: Rate


def coverage(lists: Sequence[ShownList]) -> float:
    """Share of the places that must have been shown that have a view; 0 without any."""
    places = sum(one.length for one in lists)
    return sum(len(one.shown) for one in lists) / places if places else 0.0


def impressions_known(lists: Sequence[ShownList]) -> bool:
    """Whether views may be taken for all impressions, by the same bound as for training."""
    return coverage(lists) >= MIN_SHOWN


def engagement(lists: Sequence[ShownList], looked: Propensities, *, impressions: bool) -> Engagement:
    """The figures of some lists.

    Args:
        lists: of one release, or of all.
        looked: how likely each place is looked at.
        impressions: whether views are all impressions.
    """
    groups = groups_of(lists)
    table = sums_of(lists, looked, groups)
    sums = table.sum(axis=0)
    taken = sum(bool(one.taken) for one in lists)
    clicks = ratio_of(table, CLICKS, SHOWN) if impressions and sums[SHOWN] else None
    return Engagement(
        lists=len(lists),
        shoppers=len({one.user for one in lists}),
        click_through=Rate(clicks, int(sums[SHOWN])),
        ndcg=Rate(ratio_of(table, GAINED, IDEAL) if sums[IDEAL] else None, taken),
    )


def by_place(lists: Sequence[ShownList]) -> list[Rate]:
    """Click-through of each place, from 0, as far down as something was shown and at most PLACES."""
    groups = groups_of(lists)
    depth = min(PLACES, max((max(one.shown) + 1 for one in lists if one.shown), default=0))
    table = np.zeros((depth, max(groups.values(), default=-1) + 1, 2))
    for one in lists:
        for place in one.shown:
            if place < depth:
                table[place, groups[one.user]] += (place in one.taken, 1.0)
    return [Rate(ratio_of(rows, 0, 1) if rows[:, 1].any() else None, int(rows[:, 1].sum())) for rows in table]


def groups_of(lists: Sequence[ShownList]) -> dict[str, int]:
    """Shopper → group. What one shopper does hangs together, so shoppers are drawn and not lists."""
    users = dict.fromkeys(one.user for one in lists)
    return {user: number % GROUPS for number, user in enumerate(users)}


def sums_of(lists: Sequence[ShownList], looked: Propensities, groups: Mapping[str, int]) -> Doubles:
    """Clicks on what was shown, places shown, DCG and ideal DCG of each group: float64 [groups, 4]."""
    table = np.zeros((max(groups.values(), default=-1) + 1, 4))
    for one in lists:
        gained, ideal = dcg(one, looked)
        clicks = sum(place in one.shown for place in one.taken)
        table[groups[one.user]] += (clicks, len(one.shown), gained, ideal)
    return table


def dcg(one: ShownList, looked: Propensities) -> tuple[float, float]:
    """DCG@10 of a list by clicks, and of its ideal order."""
    gains = {place: min(CLIP, 1.0 / looked.at(place)) for place in one.taken}
    gained = sum(gain * assumed(place) for place, gain in gains.items() if place < AT)
    best = sorted(gains.values(), reverse=True)[:AT]
    return gained, sum(gain * assumed(place) for place, gain in enumerate(best))


def ratio_of(table: Doubles, above: int, below: int) -> Estimate:
    """Σ of one column by Σ of another, with its interval."""
    return estimate(lambda sums: ratio(sums, above, below), table)


def ratio(sums: Doubles, above: int, below: int) -> Doubles:
    """One column by another; 0 where there is nothing to divide by."""
    whole = sums[..., below]
    return np.asarray(np.where(whole > 0, sums[..., above] / np.where(whole > 0, whole, 1.0), 0.0))
