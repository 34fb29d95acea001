"""The store of events stops and comes back under load: searches go on, nothing is acknowledged in vain."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from endcap_client import Client, EndcapError, Event
from endcap_rerank.events import open_events
from endcap_rerank.pool import STORE_UNREADABLE
from endcap_rerank.settings import Settings

from benchmarks.reliability.ground import Ground, sleep_until
from benchmarks.reliability.redis_server import RedisServer
from endcap.reports import Figure

RATE = 30.0
USER = "reliability-shopper"
BACK = 5.0
"""Seconds after which answers must be fitted to the shopper again."""


def measure_store_down(
    repository: Path,
    scratch: Path,
    queries: Sequence[str],
    items: Sequence[str],
    *,
    rounds: int,
    seconds: float,
    progress: Callable[[str], None],
) -> dict[str, Figure]:
    """The figure ``store_down_failures``: searches without an answer, answers that do not say what they are,
    events that were acknowledged and are not there, and a server that does not notice the store again.

    Args:
        repository: served for this alone.
        rounds: how often Redis is killed and started.
        seconds: how long it is down, and up, each time.
    """
    redis = RedisServer(scratch / "redis")
    counts: Counter[str] = Counter()
    acknowledged: list[str] = []
    done, down = threading.Event(), threading.Event()
    try:
        with Ground(repository, {"ENDCAP_EVENTS": redis.url}) as ground:
            with Client(ground.grpc_url, timeout=10.0) as shop:
                for item in items[:8]:
                    event = Event(USER, item, "purchase")
                    shop.feedback(event)
                    acknowledged.append(event.event_id)
            threads = [
                threading.Thread(target=_search, args=(ground, queries, number, down, done, counts))
                for number in range(4)
            ]
            threads.append(threading.Thread(target=_report, args=(ground, items, done, acknowledged, counts)))
            for thread in threads:
                thread.start()
            try:
                for turn in range(rounds):
                    progress(f"Redis is killed, {turn + 1} of {rounds}")
                    time.sleep(seconds)
                    down.set()
                    redis.kill()
                    time.sleep(seconds)
                    redis.start()
                    if not _personal_again(ground, queries[0]):
                        counts["not personal again"] += 1
                    down.clear()
                time.sleep(min(seconds, 2.0))
            finally:
                done.set()
                for thread in threads:
                    thread.join()
        store = open_events(Settings(events=redis.url))
        kept = {event.event_id for event in store.every()}
        store.close()
    finally:
        redis.kill()
    counts["lost"] = len(set(acknowledged) - kept)
    counts["acknowledged"] = len(acknowledged)
    bad = ("not answered", "not flagged", "not personal", "not personal again", "lost")
    return {
        "store_down_failures": Figure(
            float(sum(counts[name] for name in bad)),
            goal="<= 0",
            baselines={name: float(count) for name, count in sorted(counts.items())},
        )
    }


def _search(
    ground: Ground,
    queries: Sequence[str],
    number: int,
    down: threading.Event,
    done: threading.Event,
    counts: Counter[str],
) -> None:
    with Client(ground.grpc_url, timeout=10.0, retries=0) as shop:
        due = time.monotonic()
        while not done.is_set():
            sleep_until(due)
            due = max(due + 4 / RATE, time.monotonic())
            number += 1
            was_down = down.is_set()
            try:
                found = shop.search(queries[number % len(queries)], user=USER, k=5)
            except EndcapError:
                counts["not answered"] += 1
                continue
            counts["searches"] += 1
            flagged = STORE_UNREADABLE in found.notes
            counts["flagged"] += flagged
            if flagged and found.info["personalized"]:
                counts["not flagged"] += 1
            # Only what lies wholly in a time of its store can be judged by it.
            if not was_down and not down.is_set() and flagged:
                counts["not personal"] += 1


def _report(
    ground: Ground,
    items: Sequence[str],
    done: threading.Event,
    acknowledged: list[str],
    counts: Counter[str],
) -> None:
    with Client(ground.grpc_url, timeout=10.0, retries=0) as shop:
        for number in range(10**9):
            if done.wait(0.1):
                return
            event = Event(USER, items[number % len(items)], "click")
            try:
                shop.feedback(event)
                acknowledged.append(event.event_id)
            except EndcapError:
                counts["feedback refused"] += 1


def _personal_again(ground: Ground, query: str) -> bool:
    ends = time.monotonic() + BACK
    with Client(ground.grpc_url, timeout=10.0) as shop:
        while time.monotonic() < ends:
            # Every instance has to have noticed: they rest for a second each.
            if all(STORE_UNREADABLE not in shop.search(query, user=USER, k=5).notes for _ in range(6)):
                return True
            time.sleep(0.1)
    return False
