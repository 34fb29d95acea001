"""Releases change while the shop searches: does every answer come, whole, and from the release it names?"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from endcap_client import Client, EndcapError
from endcap_export.registrations import current, history
from endcap_export.registry import rollback
from endcap_rerank.errors import InvalidInputError

from benchmarks.reliability.ground import Ground, sleep_until
from endcap.reports import Figure

RATE = 50.0
THREADS = 8
ALIKE = 0.6
"""Share of products that an answer must have in common with the calm answer of the release it names.

Not all: int8 rounding depends a little on which queries are encoded together.
"""


@dataclass(frozen=True)
class _Answer:
    began: float
    ended: float
    query: str
    release: str
    ids: tuple[str, ...]
    failed: str = ""


def measure_switches(
    ground: Ground, queries: Sequence[str], *, switches: int, progress: Callable[[str], None]
) -> dict[str, Figure]:
    """The figure ``switch_failures``: failed, mixed and outdated answers.

    An answer is mixed when its products are not those that the release it names gave calmly; outdated when
    it was asked for after one switch had ended and came before the next began, and names another release.

    Raises:
        InvalidInputError: the repository has one release only.
    """
    repository = ground.repository
    running = current(repository).release
    others = [entry.release for entry in history(repository) if entry.release != running]
    others = [name for name in others if (repository / "releases" / name).is_dir()]
    if not others:
        raise InvalidInputError("repository", str(repository), "two releases are expected to switch between")
    releases = (running, others[-1])
    asked = list(queries[:40])
    calm = {running: _calm(ground, asked)}
    progress(f"switch to {releases[1]}")
    rollback(repository, releases[1], server=ground.grpc_url)
    calm[releases[1]] = _calm(ground, asked)
    answers: list[_Answer] = []
    done = threading.Event()
    threads = [
        threading.Thread(target=_keep_asking, args=(ground, asked, number, answers, done))
        for number in range(THREADS)
    ]
    for thread in threads:
        thread.start()
    moments = []
    try:
        time.sleep(1.0)
        for number in range(switches):
            to = releases[number % 2]
            progress(f"switch {number + 1} of {switches}")
            began = time.monotonic()
            rollback(repository, to, server=ground.grpc_url)
            moments.append((began, time.monotonic(), to))
            time.sleep(0.5)
    finally:
        done.set()
        for thread in threads:
            thread.join()
    failed = [answer.failed for answer in answers if answer.failed]
    whole = [answer for answer in answers if not answer.failed]
    mixed = [answer for answer in whole if not _fits(answer, calm)]
    outdated = sum(
        answer.release != to
        for (_, ended, to), (following, _, _) in pairwise([*moments, (time.monotonic(), 0.0, "")])
        for answer in whole
        if answer.began > ended and answer.ended < following
    )
    times = [1e3 * (answer.ended - answer.began) for answer in whole]
    between = float(np.mean([_common(calm[releases[0]][query], calm[releases[1]][query]) for query in asked]))
    seconds = max((ended - began for began, ended, _ in moments), default=0.0)
    return {
        "switch_failures": Figure(
            float(len(failed) + len(mixed) + outdated),
            goal="<= 0",
            baselines={
                "searches": float(len(answers)),
                "switches": float(len(moments)),
                "failed": float(len(failed)),
                "mixed": float(len(mixed)),
                "outdated": float(outdated),
                "longest_switch_s": seconds,
                "search_p99_ms": float(np.percentile(times, 99)) if times else 0.0,
                "products_in_common_of_both_releases": between,
            },
        )
    }


def _calm(ground: Ground, queries: Sequence[str]) -> dict[str, tuple[str, ...]]:
    with Client(ground.grpc_url, timeout=30.0) as shop:
        return {query: tuple(shop.search(query, k=10).ids) for query in queries}


def _keep_asking(
    ground: Ground, queries: Sequence[str], number: int, answers: list[_Answer], done: threading.Event
) -> None:
    # No second attempt: what the SDK would hide counts.
    with Client(ground.grpc_url, timeout=10.0, retries=0) as shop:
        due, turn = time.monotonic() + number / RATE, number
        while not done.is_set():
            sleep_until(due)
            due = max(due + THREADS / RATE, time.monotonic())
            query = queries[turn % len(queries)]
            turn += THREADS + 1
            began = time.monotonic()
            try:
                found = shop.search(query, k=10)
                answer = _Answer(began, time.monotonic(), query, found.release, tuple(found.ids))
            except EndcapError as error:
                answer = _Answer(began, time.monotonic(), query, "", (), f"{type(error).__name__}: {error}")
            answers.append(answer)


def _fits(answer: _Answer, calm: dict[str, dict[str, tuple[str, ...]]]) -> bool:
    if answer.release not in calm:
        return False
    expected = calm[answer.release][answer.query]
    return len(answer.ids) == len(expected) and _common(answer.ids, expected) >= ALIKE


def _common(one: Sequence[str], other: Sequence[str]) -> float:
    return len(set(one) & set(other)) / max(1, len(other))
