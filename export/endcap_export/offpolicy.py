"""What another ranking would be worth, by the log of the one that was shown: IPS and SNIPS.

A log tells what shoppers took, and shoppers look at the first places most: what was taken from far below
counts for the many who would have taken it, had they looked (Joachims, Swaminathan & Schnabel, WSDM 2017).
With p the chance of a look at the place where a product was taken, and q at its place in the new list (0 when
it is missing),

    IPS    Σ r·q/p / requests      reward that a request would have brought
    SNIPS  Σ r·q/p / Σ r/p         chance of a look at what is worth taking

The second divides by an estimate of how much there is to take, which cancels most of the noise of the weights
(self-normalization: Swaminathan & Joachims, NeurIPS 2015).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from endcap_rerank.errors import InvalidInputError
from endcap_rerank.events import Event

FADE = 1.0
"""Exponent of the chance of a look, see ``look_chance``."""

LARGEST_WEIGHT = 20.0
"""Where 1/p is cut: one lucky click at place 200 shall not decide. It undervalues what stood far below."""

DAY = 86_400.0

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Taken:
    """A product that a shopper took from a list.

    Attributes:
        request: which list; the same for all that was taken from it.
        place: where the product stood, from 0.
        reward: of what was done with it, above 0.
    """

    request: str
    item: str
    place: int
    reward: float = 1.0


@dataclass(frozen=True)
class Worth:
    """What a ranking is worth.

    Attributes:
        ips, snips: see the module.
        low, high: 95% interval of ``snips``, bootstrap over requests.
    """

    ips: float
    snips: float
    low: float
    high: float


@dataclass(frozen=True)
class Comparison:
    """The new ranking beside the one that was shown.

    Attributes:
        lead_low, lead_high: 95% interval of new.snips - shown.snips over the same draws of requests.
        requests: from which something was taken.
        effective: (Σ w)² / Σ w² of the weights r/p: to how many products of equal weight the log amounts.
    """

    new: Worth
    shown: Worth
    lead_low: float
    lead_high: float
    requests: int
    effective: float


def look_chance(places: npt.ArrayLike, fade: float = FADE) -> Doubles:
    """Chance of a look at each place, from 0: (1 + place)^-fade, the usual model of position bias."""
    return np.asarray((1.0 + np.asarray(places, np.float64)) ** -fade)


def taken_from_events(events: Iterable[Event], rewards: Mapping[str, float]) -> list[Taken]:
    """What was taken in searches, by events that carry query and place.

    Events of one shopper for one query within one day are of one request: the log knows no better.

    Args:
        rewards: event → reward above 0; other events are left out.
    """
    return [
        Taken(
            f"{event.user}\x1f{event.query}\x1f{int(event.timestamp // DAY)}",
            event.item,
            event.position,
            rewards[event.event],
        )
        for event in events
        if event.event in rewards and event.query and event.position is not None and event.position >= 0
    ]


def compare(
    taken: Sequence[Taken],
    lists: Mapping[str, Sequence[str]],
    *,
    fade: float = FADE,
    largest: float = LARGEST_WEIGHT,
    draws: int = 1000,
) -> Comparison:
    """Hold a new ranking against the shown one.

    Args:
        taken: the log.
        lists: request → item ids of the new ranking, best first. Requests without a list are left out.
        fade: of the position bias.
        largest: cut of 1/p.
        draws: of the bootstrap.

    Raises:
        InvalidInputError: nothing is left to compare, or a place or a reward is out of range.
    """
    for one in taken:
        if one.place < 0:
            raise InvalidInputError("taken.place", one.place, "0 or more is expected")
        if not 0.0 < one.reward < np.inf:
            raise InvalidInputError("taken.reward", one.reward, "a number above 0 is expected")
    kept = [one for one in taken if one.request in lists]
    if not kept:
        raise InvalidInputError("taken", len(taken), "at least one product of a request that has a list")
    places = {name: {item: place for place, item in enumerate(items)} for name, items in lists.items()}
    now = np.array([places[one.request].get(one.item, -1) for one in kept])
    then = np.array([one.place for one in kept])
    seen_now = np.where(now >= 0, look_chance(np.maximum(now, 0), fade), 0.0)
    seen_then = look_chance(then, fade)
    rewards = np.array([one.reward for one in kept])
    weights = rewards * np.minimum(1.0 / seen_then, largest)
    numbers: dict[str, int] = {}
    whose = np.array([numbers.setdefault(one.request, len(numbers)) for one in kept])
    count = len(numbers)
    # One row a request: Σ r/p, Σ r·q/p of the new list, Σ r·q/p of the shown one.
    sums = np.stack(
        [np.bincount(whose, values, count) for values in (weights, weights * seen_now, weights * seen_then)],
        axis=1,
    )
    picks = np.random.default_rng(7).integers(count, size=(draws, count))
    drawn = np.stack([np.bincount(pick, minlength=count) @ sums for pick in picks])
    new, shown = drawn[:, 1] / drawn[:, 0], drawn[:, 2] / drawn[:, 0]
    lead_low, lead_high = np.percentile(new - shown, (2.5, 97.5))
    totals = sums.sum(axis=0)
    return Comparison(
        new=_worth(totals[1], totals[0], count, new),
        shown=_worth(totals[2], totals[0], count, shown),
        lead_low=float(lead_low),
        lead_high=float(lead_high),
        requests=count,
        effective=float(weights.sum() ** 2 / (weights @ weights)),
    )


def _worth(gained: float, whole: float, requests: int, drawn: Doubles) -> Worth:
    low, high = np.percentile(drawn, (2.5, 97.5))
    return Worth(float(gained / requests), float(gained / whole), float(low), float(high))
