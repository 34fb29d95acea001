"""Two rankings in one list, so that each shopper compares them by choosing.

Team draft: Radlinski, Kurup and Joachims, "How Does Clickthrough Data Reflect Retrieval Quality?", CIKM 2008.
"""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass

from endcap_client.errors import InvalidRequest
from endcap_client.results import Item, SearchResult


@dataclass(frozen=True, slots=True)
class Drafted:
    """A product of an interleaved list.

    Attributes:
        item: the product, as the release that chose it answered.
        release: the release that chose it and gets the credit for a click; empty where only one of the two
            lists had products left: that product counts for nobody.
    """

    item: Item
    release: str


def team_draft(
    first: SearchResult, second: SearchResult, k: int, *, seed: str | None = None
) -> list[Drafted]:
    """At most ``k`` products that the two answers choose in turns, each its best that is not yet chosen.

    Before each pair of turns a coin decides who goes first, so neither gains by its place. Report what
    shoppers do with the ``position`` in this list and the ``release`` of the product:
    ``endcap monitor --interleaved`` counts who won.

    Args:
        first: the answer of one release.
        second: the answer of another to the same request.
        k: how many products.
        seed: makes the coins repeat, for a page that is asked for again; None throws new ones.

    Raises:
        InvalidRequest: both answers are of one release: a click could not be credited.

    Example:
        >>> one, two = shop.search("sofa"), shop.search("sofa", release=other)   # doctest: +SKIP
        >>> page = team_draft(one, two, 10, seed=f"{session} sofa")              # doctest: +SKIP
        >>> shop.feedback({"user": "ada", "item": page[3].item.id, "query": "sofa",
        ...     "position": 3, "release": page[3].release})                      # doctest: +SKIP
    """
    if first.release == second.release:
        raise InvalidRequest(
            f"second: got an answer of {second.release!r} as the first one; two releases are expected",
            "second",
        )
    coin = random.Random(seed)
    teams = [(answer.release, deque(answer.items)) for answer in (first, second)]
    turns: list[tuple[str, deque[Item]]] = []
    drafted: list[Drafted] = []
    chosen: set[str] = set()
    while len(drafted) < k:
        for _, items in teams:
            while items and items[0].id in chosen:
                items.popleft()
        if not all(items for _, items in teams):
            break
        turns = turns or coin.sample(teams, 2)
        release, items = turns.pop()
        drafted.append(Drafted(items[0], release))
        chosen.add(items[0].id)
    left = [Drafted(item, "") for _, items in teams for item in items if item.id not in chosen]
    return drafted + left[: k - len(drafted)]
