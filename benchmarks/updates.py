"""A catalogue that changes while it is searched: how soon it is seen, its cost, what a kill loses."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from endcap_rerank.catalog_store import CatalogStore
from endcap_rerank.index import Index, LiveIndex, build_index
from endcap_rerank.index.segments import SegmentFolder
from endcap_rerank.keeping_up import KeepingUp
from endcap_rerank.product import Product
from numpy.typing import NDArray

from benchmarks.clustered_vectors import Mixture, fill
from endcap.reports import Figure

PRODUCTS = 20_000
UPDATES = 500
"""A second; in calls of ``_AT_ONCE``, each one transaction on the disk."""
SEARCHES = 50
"""A second, over all ``READERS``."""
READERS = 2
_AT_ONCE = 10
_ENCODER = "synthetic"
_COLOURS = ["red", "blue", "green", "black", "white", "grey", "brown", "yellow"]
_THINGS = [
    "drill",
    "saw",
    "hammer",
    "lamp",
    "chair",
    "table",
    "shelf",
    "pump",
    "valve",
    "hose",
    "ladder",
    "lock",
]

Vectors = NDArray[np.float32]


def product(number: int, price: float = 10.0) -> Product:
    """A product by its number."""
    title = f"{_COLOURS[number % 8]} {_THINGS[number % 12]} type {number % 997} model {number}"
    return Product(id=str(number), title=title, brand=f"brand {number % 211}", price=price)


def measure_updates(folder: Path, *, seconds: float, kills: int) -> dict[str, Figure]:
    """The figures ``update_visible_max_s``, ``update_p99_ratio`` and ``update_lost``.

    Args:
        folder: for the index, the store and the readers' records; created.
        seconds: of updates; half as long is searched without them before.
        kills: writers that are killed at a random moment.
    """
    folder.mkdir(parents=True)
    vectors = fill(Mixture.make(0), PRODUCTS, 3)[0]
    build_index(folder / "index", [product(n) for n in range(PRODUCTS)], vectors, encoder_id=_ENCODER)
    live = _opened(folder)  # the one that stores, as the model `catalog` does; it starts compactions too
    warm, quiet = 2.0, max(4.0, seconds / 2)
    readers = [
        _child("search", folder, str(number), str(warm + quiet + seconds)) for number in range(READERS)
    ]
    began = max(float(_line(reader)) for reader in readers)
    _sleep_until(began + warm + quiet)
    acknowledged, stored = _write_for(live, seconds, vectors)
    for reader in readers:
        reader.communicate()
        if reader.returncode:
            raise AssertionError("a process that searches failed")
    records = [np.load(folder / f"reader-{number}.npy") for number in range(READERS)]
    starts, ends = began + warm, began + warm + quiet
    calm = np.concatenate([r[(r[:, 0] >= starts) & (r[:, 0] < ends), 1] for r in records])
    busy = np.concatenate([r[r[:, 0] >= acknowledged[0, 0], 1] for r in records])
    late = np.concatenate([_delays(acknowledged, record) for record in records])
    calm99, busy99 = (float(np.percentile(part, 99)) for part in (calm, busy))
    sizes = {
        "updates_per_s": stored / seconds,
        "searches_per_s": sum(len(r) for r in records) / (warm + quiet + seconds),
        "products": float(len(live)),
        "changes_in_segment": float(_segment_seq(folder)),
    }
    spread = {"p50_s": float(np.median(late)), "p99_s": float(np.percentile(late, 99))}
    milliseconds = {
        "quiet_p50_ms": float(np.median(calm)),
        "busy_p50_ms": float(np.median(busy)),
        "quiet_p99_ms": calm99,
        "busy_p99_ms": busy99,
    }
    lost, acked = _killed(folder / "killed.db", kills)
    return {
        "update_visible_max_s": Figure(float(late.max()), "s", goal="<= 1", baselines=spread | sizes),
        "update_p99_ratio": Figure(busy99 / calm99, goal="<= 2", baselines=milliseconds),
        "update_lost": Figure(
            float(lost), goal="= 0", baselines={"kills": float(kills), "acknowledged": float(acked)}
        ),
    }


def _opened(folder: Path) -> LiveIndex:
    store = CatalogStore(folder / "catalog.db")
    return LiveIndex(Index.open(folder / "index"), store, SegmentFolder(folder, _ENCODER))


def _segment_seq(folder: Path) -> int:
    """The last change that the segment which serves holds; 0 without one."""
    return int(SegmentFolder(folder, _ENCODER).current().partition("-")[0] or 0)


def _write_for(live: LiveIndex, seconds: float, vectors: Vectors) -> tuple[NDArray[np.float64], int]:
    """Mixed updates at the rate asked for; when each call was acknowledged and its last number: [n, 2]."""
    rng = random.Random(3)
    new = PRODUCTS
    acknowledged: list[tuple[float, float]] = []
    stored = 0
    start = time.monotonic()
    while (turn := len(acknowledged)) * _AT_ONCE / UPDATES < seconds:
        _sleep_until(start + turn * _AT_ONCE / UPDATES)
        if turn % 10 == 9:
            live.delete([str(rng.randrange(PRODUCTS)) for _ in range(_AT_ONCE)])
        else:
            changed = []
            for _ in range(_AT_ONCE):
                number = rng.randrange(PRODUCTS)
                if rng.random() < 0.1:  # new in the catalogue; the others have a new price
                    number, new = new, new + 1
                changed.append((product(number, rng.uniform(1, 99)), vectors[number % PRODUCTS]))
            live.upsert(changed)
        stored += _AT_ONCE
        # AUTOINCREMENT: every changed row got the next number.
        acknowledged.append((time.monotonic(), float(stored)))
    return np.array(acknowledged), stored


def _delays(acknowledged: NDArray[np.float64], record: NDArray[np.float64]) -> NDArray[np.float64]:
    """Seconds from each acknowledgement to the first search of a reader that saw it."""
    seen = np.searchsorted(record[:, 2], acknowledged[:, 1])
    if (seen >= len(record)).any():
        # What was acknowledged after the reader's last search could not be seen by it.
        unseen = acknowledged[seen >= len(record), 0]
        if (unseen < record[-1, 0]).any():
            raise AssertionError("an acknowledged update was not seen at all")
    kept = seen < len(record)
    delays: NDArray[np.float64] = np.maximum(record[seen[kept], 0] - acknowledged[kept, 0], 0.0)
    return delays


def search_for(folder: Path, number: int, seconds: float) -> None:
    """In a process of its own: searches at a steady rate; keeps [start, ms, last change seen] of each."""
    live = _opened(folder)
    queries = fill(Mixture.make(0), 500, 4)[0]
    record: list[tuple[float, float, float]] = []
    start = time.monotonic()
    sys.stdout.write(f"{start}\n")
    sys.stdout.flush()
    pause = READERS / SEARCHES
    turn = threading.Lock()
    keeping = KeepingUp(live.refresh, turn)  # as the models do that search
    while (due := start + (len(record) + number / READERS) * pause) < start + seconds + 1.0:
        _sleep_until(due)
        began = time.monotonic()
        with turn:
            live.refresh()
            asked = len(record)
            live.retrieve(f"{_COLOURS[asked % 8]} {_THINGS[asked % 12]}", queries[asked % 500], count=200)
        # From when it was due: a search that waits for the one before it is late for the shopper, too.
        record.append((began, 1e3 * (time.monotonic() - due), float(live.seq)))
    keeping.close()
    np.save(folder / f"reader-{number}.npy", np.array(record))


def write_until_killed(path: Path) -> None:
    """In a process of its own: updates one after another, each told once it is acknowledged."""
    store = CatalogStore(path)
    vector = np.ones(8, np.float32) / np.sqrt(8).astype(np.float32)
    first = int(time.monotonic() * 1e6)
    for number in range(10**9):
        numbers = [first + 3 * number + n for n in range(3)]
        store.upsert([(product(n, float(number)), vector) for n in numbers], _ENCODER)
        gone = f"gone-{numbers[0]}"
        store.delete([gone])
        sys.stdout.write(json.dumps([*map(str, numbers), gone]) + "\n")
        sys.stdout.flush()


def _killed(path: Path, kills: int) -> tuple[int, int]:
    """Kill writers; how many acknowledged changes are missing, of how many."""
    rng = random.Random(11)
    acknowledged: list[str] = []
    for _ in range(kills):
        writer = _child("write", path)
        acknowledged += json.loads(_line(writer))
        time.sleep(rng.uniform(0.05, 0.6))
        writer.kill()  # SIGKILL
        acknowledged += [name for line in _whole_lines(writer) for name in json.loads(line)]
    store = CatalogStore(path)
    kept = {change.id for change in store.changes_since(0)}
    store.close()
    return len(set(acknowledged) - kept), len(acknowledged)


def _whole_lines(process: subprocess.Popen[str]) -> Iterator[str]:
    rest = process.communicate()[0]
    return (line for line in rest.splitlines(keepends=True) if line.endswith("\n"))


def _child(*arguments: str | Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "benchmarks.updates", *map(str, arguments)]
    root = Path(__file__).resolve().parents[1]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root)


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise AssertionError("a process of the benchmark ended early")
    return line


def _sleep_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.monotonic()))


if __name__ == "__main__":
    if sys.argv[1] == "search":
        search_for(Path(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
    else:
        write_until_killed(Path(sys.argv[2]))
