"""Every figure of ``reliability.json``."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from endcap_rerank.errors import InvalidInputError

from benchmarks.reliability.fuzz import measure_fuzz
from benchmarks.reliability.ground import Ground, copied
from benchmarks.reliability.kills import measure_kills
from benchmarks.reliability.overload import measure_overload
from benchmarks.reliability.privacy import measure_privacy
from benchmarks.reliability.redis_server import find_server
from benchmarks.reliability.store_down import measure_store_down
from benchmarks.reliability.switches import measure_switches
from benchmarks.traffic import Traffic
from endcap.reports import Figure, Report

PARTS = ("switches", "overload", "fuzz", "kills", "store", "privacy")


@dataclass(frozen=True)
class Size:
    """How much is done of each part.

    Attributes:
        switches: of the release.
        overload: seconds of it.
        kills: of each model's process and of tritonserver.
        requests: fuzzed ones.
        rounds: times that Redis is killed.
        down: seconds that it is down.
    """

    switches: int = 20
    overload: float = 60.0
    kills: int = 10
    requests: int = 20_000
    rounds: int = 3
    down: float = 4.0


QUICK = Size(switches=2, overload=5.0, kills=1, requests=400, rounds=1, down=2.0)
"""To see that it runs; its figures mean little."""


def measure(
    repository: Path,
    traffic: Path,
    *,
    size: Size = QUICK,
    parts: Sequence[str] = PARTS,
    progress: Callable[[str], None] = lambda stage: None,
) -> Report:
    """Run the parts on copies of a repository, each with a supervised server of its own.

    Args:
        repository: what ``endcap register`` wrote; two of its releases are expected for ``switches``.
        traffic: folder of a shop.
        parts: those of PARTS to run, in their order.

    Raises:
        InvalidInputError: an unknown part, or a repository that does not suffice.
        EndcapError: ``store`` is asked for where there is no Redis or Valkey to stop.
    """
    if unknown := [part for part in parts if part not in PARTS]:
        raise InvalidInputError("parts", ", ".join(unknown), f"some of {', '.join(PARTS)} are expected")
    if "store" in parts:
        find_server()  # before a quarter of an hour is spent on the parts before it
    shop = Traffic.of_path(traffic)
    queries, items = shop.queries, [str(product["id"]) for product in shop.products]
    figures: dict[str, Figure] = {}
    examples: list[str] = []
    with tempfile.TemporaryDirectory(prefix="endcap-reliability-") as folder:
        scratch = Path(folder)
        plain = [part for part in parts if part in ("switches", "overload", "fuzz", "kills")]
        if plain:
            progress("a copy of the repository is served")
            with Ground(copied(repository, scratch / "plain"), None, "--cache-mib", "16") as ground:
                if "switches" in plain:
                    figures |= measure_switches(ground, queries, switches=size.switches, progress=progress)
                if "overload" in plain:
                    figures |= measure_overload(ground, queries, seconds=size.overload, progress=progress)
                if "fuzz" in plain:
                    found, examples = measure_fuzz(
                        ground, queries, items, requests=size.requests, progress=progress
                    )
                    figures |= found
                if "kills" in plain:
                    figures |= measure_kills(ground, queries, items, kills=size.kills, progress=progress)
        if "store" in parts:
            figures |= measure_store_down(
                copied(repository, scratch / "store"),
                scratch,
                queries,
                items,
                rounds=size.rounds,
                seconds=size.down,
                progress=progress,
            )
        if "privacy" in parts:
            figures |= measure_privacy(
                copied(repository, scratch / "private"), scratch, items, progress=progress
            )
    notes = (
        f"`endcap serve --supervise` on copies of a repository, callers on the same machine. {size}. "
        "Switches: rollback to and fro under 50 searches/s without a second attempt; mixed: under 60% of the "
        "products that the named release gives calmly. Overload: server and callers "
        "on a half of the cores each, open loop over gRPC at 5 times the "
        "throughput of 16 callers before it, a deadline of 1 s, no query twice; goodput: over the mean of "
        "that throughput before and after; recovered: p50 at 30% of saturation "
        "10 s after, over that before. Kills: SIGKILL; recovered when search, recommendation, event and "
        "catalogue change were each answered twice. Fuzz: raw gRPC and HTTP, mutated bytes, the SDK; two "
        "shoppers' lists are compared meanwhile. Store: redis-server, SIGKILL and start."
    )
    return Report("reliability", figures, " ".join([notes, *(f"Fuzz: {one}." for one in examples)]))
