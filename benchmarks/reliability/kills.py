"""kill -9 at random moments under load: how soon all is back, and whether something acknowledged is gone."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from endcap_client import Client, EndcapError, Event, InvalidRequest
from endcap_rerank.events import open_events
from endcap_rerank.settings import Settings

from benchmarks.reliability.ground import Ground
from endcap.reports import Figure
from endcap.supervisor import QUICK

STUBS = ("tokenize", "encode", "rerank", "recommend", "feedback", "catalog")
SERVER = "tritonserver"
LONGEST = 60.0
"""Seconds after which a server counts as not coming back."""

USER = "reliability-shopper"


def measure_kills(
    ground: Ground,
    queries: Sequence[str],
    items: Sequence[str],
    *,
    kills: int,
    progress: Callable[[str], None],
) -> dict[str, Figure]:
    """The figures ``kill_recovery_max_s`` and ``kill_lost``.

    Each kill comes at a random moment, but not before the supervisor takes the server for well again: one
    that ends five times in a row right after its start is given up.

    Recovered: all processes are there again, and after that a search, a recommendation, an event and a change
    of the catalogue were answered, each twice (a model has two instances at most).

    Args:
        kills: of each model's process and of tritonserver, in random order.
    """
    rng = random.Random(5)
    targets = [target for target in (*STUBS, SERVER) for _ in range(kills)]
    rng.shuffle(targets)
    whole, load = _Whole(ground), _Load(ground, queries, items)
    times: dict[str, list[float]] = {}
    with load:
        load.await_recovery(time.monotonic())
        for number, target in enumerate(targets):
            time.sleep(QUICK + rng.uniform(0.0, 2.0))
            progress(f"kill {number + 1} of {len(targets)}: {target}")
            killed = _kill(ground, target, rng)
            moment = time.monotonic()
            seconds = load.await_recovery(moment, partial(whole.without, killed))
            times.setdefault(target, []).append(seconds)
    lost = load.lost_events() + load.lost_products()
    every = [seconds for series in times.values() for seconds in series]
    return {
        "kill_recovery_max_s": Figure(
            max(every),
            "s",
            goal="<= 10",
            baselines={f"{target}_median_s": float(np.median(series)) for target, series in times.items()}
            | {"kills": float(len(every)), "median_s": float(np.median(every))},
        ),
        "kill_lost": Figure(
            float(lost),
            goal="<= 0",
            baselines={name: float(count) for name, count in load.counts.items()},
        ),
    }


def _kill(ground: Ground, target: str, rng: random.Random) -> int:
    """SIGKILL to a process that lives; its id."""
    while ground.alive:
        pids = (
            [ground.pid] if target == SERVER else [stub.pid for stub in ground.stubs if stub.model == target]
        )
        if pids and pids[0]:
            pid = rng.choice(pids)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                return pid
        time.sleep(0.05)
    raise EndcapError(f"the supervisor has ended: {ground.said()[-2000:]}")


class _Whole:
    """Whether as many processes serve as at first, none of them one that was killed."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._expected = _models(ground)

    def without(self, killed: int) -> bool:
        """Looked at now."""
        server = self._ground.pid
        pids = {stub.pid for stub in self._ground.stubs}
        return server not in (0, killed) and killed not in pids and _models(self._ground) == self._expected


def _models(ground: Ground) -> Counter[str]:
    return Counter(stub.model for stub in ground.stubs)


class _Load:
    """Searches, recommendations, events and catalogue changes, until it is closed; what was acknowledged."""

    def __init__(self, ground: Ground, queries: Sequence[str], items: Sequence[str]) -> None:
        self.counts: Counter[str] = Counter()
        self._ground = ground
        self._queries = queries
        self._items = items
        self._events: list[str] = []
        self._products: list[str] = []
        self._begun: dict[str, list[float]] = {
            "search": [],
            "recommend": [],
            "feedback": [],
            "catalog": [],
        }
        self._done = threading.Event()
        self._numbers = itertools.count()
        calls = (self._search, self._search, self._recommend, self._feedback, self._upsert)
        self._threads = [threading.Thread(target=self._repeat, args=(call,)) for call in calls]

    def __enter__(self) -> None:
        for thread in self._threads:
            thread.start()

    def __exit__(self, *exception: object) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join()

    def await_recovery(self, moment: float, whole: Callable[[], bool] = lambda: True) -> float:
        """Seconds from ``moment`` until all was whole and then answered twice; LONGEST where it never was."""
        since = 0.0
        while time.monotonic() < moment + LONGEST:
            if not since and whole():
                since = time.monotonic()
            if since and all(
                sum(began > since for began in calls[-9:]) > 1 for calls in self._begun.values()
            ):
                return time.monotonic() - moment
            time.sleep(0.02)
        return LONGEST

    def lost_events(self) -> int:
        """Acknowledged events that are not in the store."""
        store = open_events(Settings(state=self._ground.repository / "state"))
        kept = {event.event_id for event in store.every()}
        store.close()
        self.counts["events_acknowledged"] = len(self._events)
        return len(set(self._events) - kept)

    def lost_products(self) -> int:
        """Acknowledged products that the server does not know."""
        lost = 0
        self.counts["products_acknowledged"] = len(self._products)
        with Client(self._ground.grpc_url, timeout=30.0) as shop:
            for product in self._products:
                try:
                    shop.recommend(item=product, k=1)
                except InvalidRequest:
                    lost += 1
        return lost

    def _repeat(self, call: Callable[[Client], str]) -> None:
        # One attempt: what was in flight is lost, and counted.
        with Client(self._ground.grpc_url, timeout=3.0, retries=0, breaker_failures=10**6) as shop:
            while not self._done.is_set():
                began = time.monotonic()
                try:
                    self._begun[call(shop)].append(began)
                    self.counts["answered"] += 1
                except EndcapError:
                    self.counts["not answered"] += 1
                time.sleep(0.05)

    def _search(self, shop: Client) -> str:
        shop.search(self._queries[next(self._numbers) % len(self._queries)], user=USER, k=5)
        return "search"

    def _recommend(self, shop: Client) -> str:
        shop.recommend(user=USER, k=5)
        return "recommend"

    def _feedback(self, shop: Client) -> str:
        number = next(self._numbers)
        event = Event(USER, self._items[number % len(self._items)], event_id=f"reliability-{number}")
        shop.feedback(event)
        self._events.append(event.event_id)
        return "feedback"

    def _upsert(self, shop: Client) -> str:
        product = f"reliability-{next(self._numbers)}"
        shop.upsert({"id": product, "title": f"reliability lamp {product}", "price": 9.5})
        self._products.append(product)
        return "catalog"
