"""Thousands of requests that no shop would send."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence

from benchmarks.reliability.canaries import PURCHASES, Canaries
from benchmarks.reliability.fuzz_calls import KINDS, SECONDS, Caller
from benchmarks.reliability.ground import Ground
from endcap.reports import Figure

THREADS = 6
USERS = ("fuzz-ada", "fuzz-ben", "fuzz-cleo")
_WARM = 0.3
"""Share of the requests after which memory is first taken: caches and pools have grown by then."""
_QUIET_SECONDS = 5.0


def measure_fuzz(
    ground: Ground,
    queries: Sequence[str],
    items: Sequence[str],
    *,
    requests: int,
    progress: Callable[[str], None],
    seed: int = 11,
) -> tuple[dict[str, Figure], list[str]]:
    """The figures ``fuzz_failures`` and ``fuzz_memory_growth_mib``, and examples of what failed.

    A failure is an error of the server's own, a refusal without a reason, a request that hangs, a process
    that died, and a canary's answer that was another shopper's or did not come.
    """
    canaries = Canaries(ground.grpc_url)
    progress("two shoppers are prepared")
    half = len(items) // 2
    canaries.prepare(items[:PURCHASES], items[half : half + PURCHASES], queries[:40])
    before = _settled(ground)
    done = threading.Event()
    watcher = threading.Thread(target=canaries.watch, args=(done,))
    watcher.start()
    try:
        progress(f"{requests} fuzzed requests")
        warm = int(requests * _WARM)
        failures, kinds = _send(ground, items, warm, seed, progress)
        held = ground.memory()
        rest = _send(ground, items, requests - warm, seed + 1, progress)
        failures, kinds = failures + rest[0], kinds + rest[1]
        grown = ground.memory() - held
    finally:
        done.set()
        watcher.join()
    died = len(before - _processes(ground))
    bad = [*failures, *(f"wrong shopper: {one}" for one in canaries.wrong)]
    bad += [f"canary: {one}" for one in canaries.failed]
    examples = [f"{count} × {what}" for what, count in Counter(_shortened(one) for one in bad).most_common(8)]
    figures = {
        "fuzz_failures": Figure(
            float(len(bad) + died),
            goal="<= 0",
            baselines={f"{kind}": float(count) for kind, count in sorted(kinds.items())}
            | {"died": float(died), "canary_answers": float(canaries.checked)},
        ),
        "fuzz_memory_growth_mib": Figure(
            grown, "MiB", goal="<= 64", baselines={"before": held, "after": held + grown}
        ),
    }
    return figures, examples


def _settled(ground: Ground) -> set[int]:
    """The server's processes, once none has come or gone for a while.

    A version that was switched away from goes on unloading for seconds; its processes end rightly.
    """
    deadline = time.monotonic() + 60
    found, since = _processes(ground), time.monotonic()
    while time.monotonic() - since < _QUIET_SECONDS and time.monotonic() < deadline:
        time.sleep(0.25)
        if (now := _processes(ground)) != found:
            found, since = now, time.monotonic()
    return found


def _processes(ground: Ground) -> set[int]:
    return {stub.pid for stub in ground.stubs} | {ground.pid}


def _send(
    ground: Ground, items: Sequence[str], requests: int, seed: int, progress: Callable[[str], None]
) -> tuple[list[str], Counter[str]]:
    failures: list[str] = []
    kinds: Counter[str] = Counter()

    def work(number: int) -> None:
        rng = random.Random(seed * 1000 + number)
        caller = Caller(ground.grpc_url, ground.http_url, list(USERS), list(items[:50]))
        try:
            for _ in range(requests // THREADS + (number < requests % THREADS)):
                kind = rng.choice(KINDS)
                began = time.monotonic()
                failure = caller.send(kind, rng)
                if not failure and time.monotonic() - began > SECONDS:
                    failure = f"{kind}: an answer after {SECONDS:g} s"
                kinds[kind] += 1
                if failure:
                    failures.append(failure)
                if number == 0 and kinds.total() % 500 < THREADS:
                    progress(f"fuzzed request {kinds.total()}")
        finally:
            caller.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failures, kinds


def _shortened(text: str) -> str:
    return text if len(text) <= 160 else f"{text[:160]}…"
