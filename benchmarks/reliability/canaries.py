"""Two shoppers whose answers must stay their own, whatever others send meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from endcap_client import Client, EndcapError, Event

NOBODY = ""
USERS = ("canary-one", "canary-two")
_ALL = (NOBODY, *USERS)
PURCHASES = 12
_K = 10


@dataclass
class Canaries:
    """Asks for the same lists again and again; an answer must be nearest to its own shopper's.

    Nearest and not equal: events and products that others add shift scores a little, and so does int8
    rounding. They shift more with time, so where an answer is not nearest to its shopper's former list all
    three are asked for anew, and it is held against those.

    Attributes:
        checked: answers that were compared.
        wrong: those that were nearer to another shopper's list.
        failed: requests without an answer.
        lists: (query, shopper) → the products that were the calm answer.
    """

    url: str
    checked: int = 0
    wrong: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    lists: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    def prepare(self, first: Sequence[str], second: Sequence[str], queries: Sequence[str]) -> None:
        """Let one buy ``first``, the other ``second``; keep their lists where they differ.

        Raises:
            ValueError: no query does.
        """
        with Client(self.url, timeout=30.0) as shop:
            for user, items in zip(USERS, (first, second), strict=True):
                shop.feedback(Event(user, item, "purchase") for item in items)
            for query in queries:
                lists = {user: self._list(shop, query, user) for user in _ALL}
                if len({tuple(ids) for ids in lists.values()}) == 3:
                    self.lists |= {(query, user): ids for user, ids in lists.items()}
        if not self.lists:
            raise ValueError("no query tells the two shoppers apart")

    def watch(self, done: threading.Event) -> None:
        """Compare until told to stop."""
        with Client(self.url, timeout=20.0, retries=0, breaker_failures=10**6) as shop:
            while True:
                for query, user in list(self.lists):
                    if done.is_set():
                        return
                    try:
                        ids = self._list(shop, query, user)
                        if not self.fits(query, user, ids):
                            anew = {(query, other): self._list(shop, query, other) for other in _ALL}
                            self.lists |= anew
                        self.compare(query, user, ids)
                    except EndcapError as error:
                        self.failed.append(f"{type(error).__name__}: {error}")
                    time.sleep(0.05)

    def compare(self, query: str, user: str, ids: list[str]) -> None:
        """Note a list that is nearer to another shopper's than to its own."""
        self.checked += 1
        if not self.fits(query, user, ids):
            self.wrong.append(f"{query!r} for {user or 'nobody'}")

    def fits(self, query: str, user: str, ids: list[str]) -> bool:
        """Whether no other shopper's list is nearer."""
        alike = {
            other: sum(
                1.0 / (1 + abs(place - reference.index(item)))
                for place, item in enumerate(ids)
                if item in reference
            )
            for (asked, other), reference in self.lists.items()
            if asked == query
        }
        return alike[user] >= max(alike.values())

    def _list(self, shop: Client, query: str, user: str) -> list[str]:
        return shop.search(query, user=user or None, k=_K, diversity=0.0).ids
