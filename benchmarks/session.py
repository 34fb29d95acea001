"""What a shopper does: searches, looks at a product, searches again, is recommended something."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.traffic import Traffic, Zipf

AGAIN = 0.5
"""How often a search is followed by another one of the same visit: two a visit on average."""
RECOMMENDATION = 0.5
"""How often a visit ends with a list of recommendations."""
EVENTS, WEIGHTS = ("click", "cart", "purchase"), (90, 8, 2)


@dataclass(frozen=True)
class Mix:
    """Shares of the traffic.

    Attributes:
        fresh: of the searches, queries that nobody asked before: the response cache cannot have them.
        clicks: of the lists, those of which a product is clicked (or bought): one ``feedback`` each.
        updates: of all requests, changes of the catalogue: a product with another price.
    """

    fresh: float = 0.1
    clicks: float = 0.35
    updates: float = 0.01


@dataclass(frozen=True)
class Action:
    """One call of the SDK: ``search``, ``recommend``, ``feedback`` or ``upsert``, and what it is about."""

    call: str
    user: str = ""
    query: str = ""
    document: dict[str, Any] = field(default_factory=dict)


class Visits:
    """Visits one after the other, each by another shopper.

    Shoppers are drawn by how active they are in the event log, queries by Zipf's law over their rank in the
    query log.

    Args:
        traffic: what the shop's files say.
        mix: shares.
        numbers: the source of chance; equal seeds give equal visits where the answers are equal.
    """

    def __init__(self, traffic: Traffic, mix: Mix, numbers: random.Random) -> None:
        self._traffic = traffic
        self._mix = mix
        self._random = numbers
        self._zipf = Zipf(len(traffic.queries))
        self._known = set(traffic.queries)
        self._seen: Sequence[str] = ()
        self._steps = self._visit_after_visit()

    def next(self) -> Action:
        """What happens next."""
        if self._traffic.products and self._random.random() < self._mix.updates:
            return self._update()
        return next(self._steps)

    def saw(self, ids: Sequence[str]) -> None:
        """The products of the answer to the last search or recommendation; none after a failure."""
        self._seen = ids

    def _visit_after_visit(self) -> Iterator[Action]:
        while True:
            shopper = self._shopper()
            while True:
                query = self._query()
                yield from self._look(Action("search", shopper, query))
                if self._random.random() >= AGAIN:
                    break
            if self._random.random() < RECOMMENDATION:
                yield from self._look(Action("recommend", shopper))

    def _look(self, action: Action) -> Iterator[Action]:
        self._seen = ()
        yield action
        if self._seen and self._random.random() < self._mix.clicks:
            # People look from the top down.
            position = min(int(self._random.expovariate(0.3)), len(self._seen) - 1)
            event: dict[str, Any] = {
                "user": action.user,
                "item": self._seen[position],
                "event": self._random.choices(EVENTS, WEIGHTS)[0],
                "position": position,
            }
            if action.query:
                event["query"] = action.query
            yield Action("feedback", action.user, document=event)

    def _shopper(self) -> str:
        users = self._traffic.users
        if not users:
            return f"load-{self._random.randrange(1000)}"
        return self._random.choices(users, cum_weights=self._traffic.activity)[0]

    def _query(self) -> str:
        query = self._traffic.queries[self._zipf.draw(self._random)]
        if self._random.random() >= self._mix.fresh:
            return query
        # A word of another query makes what a shopper could type; a number where that is known already.
        other = self._random.choice(self._traffic.queries).split()
        query = f"{query} {self._random.choice(other)}"
        while query in self._known:
            query = f"{query} {self._random.randrange(10**4)}"
        self._known.add(query)
        return query

    def _update(self) -> Action:
        product = dict(self._random.choice(self._traffic.products))
        price = product.get("price")
        if isinstance(price, int | float):
            product["price"] = round(price * self._random.uniform(0.9, 1.1), 2)
        return Action("upsert", document=product)
