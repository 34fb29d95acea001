"""Retrieval at a million products, with filters, in several processes, and while the catalogue changes."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import perf_counter, thread_time
from typing import Any

import numpy as np
from endcap_rerank.index.dense import DenseIndex, write_dense
from numpy.typing import NDArray

from benchmarks.clustered_vectors import Mixture, fill, local_dimension
from benchmarks.updates import measure_updates
from endcap.reports import Figure, Report

COUNT = 100
FILTERED_COUNT = 20
BATCH = 16
SHARES = (0.5, 0.05, 0.005, 0.001)
_SMALL = 10_000
_QUERIES = 300
_ROUNDS = 5
_CHILD = "import sys; from benchmarks.retrieval import report_memory; report_memory(sys.argv[1])"

Vectors = NDArray[np.float32]
Rows = NDArray[np.int64]


def measure(
    *,
    products: int = 1_000_000,
    seconds: float = 60.0,
    kills: int = 10,
    data: Path | None = None,
    progress: Callable[[str], None] = lambda stage: None,
) -> Report:
    """The report ``retrieval``.

    Args:
        products: of the large catalogue.
        seconds: how long searches and updates run side by side.
        kills: how often a writer is killed at a random moment.
        data: folder of the data sets; their figures are left out without it.
        progress: told what is being measured.
    """
    with tempfile.TemporaryDirectory(prefix="endcap-retrieval-", dir=os.environ.get("TMPDIR")) as folder:
        root = Path(folder)
        figures = _large(root, products, progress)
        progress("updates")
        figures |= measure_updates(root / "updates", seconds=seconds, kills=kills)
    if data is not None:
        progress("Home Depot")
        figures |= _home_depot(data)
    notes = (
        f"{products:,} x 384 vectors from benchmarks/clustered_vectors.py: 5,000 clusters of power-law size "
        "in 150 families; a vector is the direction of family and cluster, plus a place in 24 directions of "
        "falling spread, plus noise equal in all directions; its local dimension is the figure "
        "local_dimension (12.7 on the 54,667 Home Depot titles with MiniLM). Queries are new draws. Recall "
        f"against exact search with count {COUNT}; times are processor time of the one searching "
        f"thread, the lowest of {_ROUNDS} rounds' medians over {_QUERIES} queries, vectors in memory. "
        "Retrieval here is by vector: words are apart. "
        "Filters: count 20; for each share one that admits rows at random and one that admits clusters; "
        "the worst of them is reported; filter_time_ratio_max is for a filter met for the first time and "
        "includes comparing a column of all rows to make it; filter_again_ratio_max is for one that is kept, "
        "as a server keeps the last few. "
        "Memory is PSS when each process has answered the same queries and has touched all vectors, as one "
        "that has served for a while. Updates: 20,000 other products and the words too, two processes that "
        "search, 81% new prices, 9% new products, 10% deletions, ten a transaction; a third process stores "
        "them, and a fourth writes segments when changes are many. The two Home Depot "
        "indexes are compared with held-out titles as queries. "
        f" Load average at the end: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores."
    )
    return Report("retrieval", figures, notes)


def _large(root: Path, products: int, progress: Callable[[str], None]) -> dict[str, Figure]:
    progress("vectors")
    mixture = Mixture.make(0)
    vectors, clusters = fill(mixture, products, 1)
    queries = fill(mixture, _QUERIES, 2)[0]
    figures = {"local_dimension": Figure(local_dimension(vectors, queries[:50]))}
    progress("build")
    directory, small = root / "large", root / "small"
    for each in (directory, small):
        each.mkdir(parents=True)
    start = perf_counter()
    write_dense(directory, vectors)
    figures["million_build_s"] = Figure(perf_counter() - start, "s")
    write_dense(small, np.ascontiguousarray(vectors[:: max(1, products // _SMALL)][:_SMALL]))
    np.save(directory / "queries.npy", queries)
    truth = exact(vectors, queries, COUNT)
    flat = min(_milliseconds([partial(np.matmul, vectors, queries[0])], 3))
    del vectors
    progress("search")
    figures |= _search(directory, small, queries, truth, flat)
    progress("filters")
    figures |= _filters(DenseIndex(directory), queries[:60], clusters)
    # Nothing in this process may map the files by now: it would take a share of them.
    progress("memory")
    return figures | _memory(directory)


def _search(
    directory: Path, small: Path, queries: Vectors, truth: list[Rows], flat: float
) -> dict[str, Figure]:
    figures: dict[str, Figure] = {}
    start = perf_counter()
    index = DenseIndex(directory)
    figures["million_open_s"] = Figure(perf_counter() - start, "s", goal="<= 2")
    found = [index.search(query, COUNT)[0] for query in queries]
    shares = np.array([len(np.intersect1d(a, b)) / COUNT for a, b in zip(found, truth, strict=True)])
    error = 1.96 * float(shares.std()) / len(shares) ** 0.5
    recall = float(shares.mean())
    figures["million_recall100"] = Figure(recall, "", recall - error, min(1.0, recall + error), ">= 0.98")
    other = DenseIndex(small)
    alone, batched, few = _rounds(
        [
            lambda n: index.search(queries[n], COUNT),
            lambda n: index.search_many(queries[n - n % BATCH : n - n % BATCH + BATCH], COUNT),
            lambda n: other.search(queries[n], COUNT),
        ]
    )
    figures["million_ms"] = Figure(alone, "ms", goal="<= 2", baselines={"flat": flat})
    figures["million_batch16_ms"] = Figure(batched / BATCH, "ms", goal="<= 1.2", baselines={"flat": flat})
    figures["growth_10k_to_1m"] = Figure(alone / few, goal="< 5", baselines={"ms_10k": few, "ms_1m": alone})
    return figures


def _filters(index: DenseIndex, queries: Vectors, clusters: NDArray[np.int64]) -> dict[str, Figure]:
    """Recall and time of filters; a filter is a price range over a column of all rows."""
    rng = np.random.default_rng(5)
    scores = index.vectors @ queries.T
    number = rng.permutation(int(clusters.max()) + 1)
    columns = {"random": rng.random(len(clusters)), "clusters": _shares_of(number[clusters])}
    recalls, ratios, again = {}, {}, {}
    for kind, column in columns.items():
        for share in SHARES:
            rows = np.flatnonzero(column <= share)
            count = min(FILTERED_COUNT, len(rows))
            hits = 0
            for place, query in enumerate(queries):
                expected = rows[np.argsort(-scores[rows, place])[:count]]
                found = index.search(query, count, column <= share)[0]
                if len(found) != count:
                    raise AssertionError(f"{len(found)} of {count} rows were found")
                hits += len(np.intersect1d(found, expected))
            name = f"{kind}_{100 * share:g}%"
            recalls[name] = hits / (count * len(queries))

            def filtered(n: int, column: Any = column, share: float = share) -> None:
                index.search(queries[n % len(queries)], FILTERED_COUNT, column <= share)

            kept = column <= share
            kept.flags.writeable = False

            def repeated(n: int, kept: NDArray[np.bool_] = kept) -> None:
                index.search(queries[n % len(queries)], FILTERED_COUNT, kept)

            plain, timed, timed_again = _rounds(
                [lambda n: index.search(queries[n % len(queries)], FILTERED_COUNT), filtered, repeated],
                queries=60,
            )
            ratios[name], again[name] = timed / plain, timed_again / plain
    return {
        "filter_recall20_min": Figure(min(recalls.values()), goal=">= 0.98", baselines=recalls),
        "filter_time_ratio_max": Figure(max(ratios.values()), goal="<= 3", baselines=ratios),
        "filter_again_ratio_max": Figure(max(again.values()), goal="<= 3", baselines=again),
    }


def _shares_of(order: NDArray[np.int64]) -> NDArray[np.float64]:
    """For each row the share of rows whose cluster comes no later in ``order``."""
    sizes = np.bincount(order)
    before = np.concatenate([[0], sizes.cumsum()[:-1]])
    # The middle of a cluster decides, so that the share passed is near the one asked for.
    shares: NDArray[np.float64] = (before + sizes / 2)[order] / len(order)
    return shares


def _memory(directory: Path) -> dict[str, Figure]:
    """PSS of one process that searches, and of three together."""

    def start() -> subprocess.Popen[str]:
        # One thread, as a model's instance runs: OpenBLAS reserves memory for each of its threads.
        return subprocess.Popen(
            [sys.executable, "-c", _CHILD, str(directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            cwd=Path(__file__).resolve().parents[1],
        )

    def total(processes: list[subprocess.Popen[str]]) -> float:
        for process in processes:
            assert process.stdout is not None
            if process.stdout.readline().strip() != "ready":
                raise AssertionError("a process that searches ended early")
        size = sum(proportional_size(process.pid) for process in processes)
        for process in processes:
            process.communicate("")
        return size

    alone = total([start()])
    three = total([start() for _ in range(3)])
    return {
        "three_process_memory_ratio": Figure(
            three / alone, goal="<= 1.25", baselines={"one_mib": alone, "three_mib": three}
        )
    }


def report_memory(directory: str) -> None:
    """In a process of its own: search, say "ready" and wait for the end of the input."""
    index = DenseIndex(Path(directory))
    for query in np.load(Path(directory) / "queries.npy"):
        index.search(query, 2 * COUNT)
    np.add.reduce(index.vectors[:, 0])  # as a catalogue that has served for a while: every page was needed
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.read()


def proportional_size(pid: int) -> float:
    """PSS of a process in MiB: its own memory, and its share of what it shares."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text("ascii").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise AssertionError(f"/proc/{pid}/smaps_rollup has no Pss")


def _home_depot(data: Path) -> dict[str, Figure]:
    """The lists and the flat codes on real vectors: the titles as untuned MiniLM encodes them."""
    from endcap_export.data import read_products

    from benchmarks.untuned import embed

    products = read_products(data / "homedepot" / "products.csv").rows
    vectors = embed([product.encoder_text() for product in products])
    picked = np.random.default_rng(0).permutation(len(vectors))
    queries, kept = vectors[picked[:_QUERIES]], np.ascontiguousarray(vectors[np.sort(picked[_QUERIES:])])
    truth = exact(kept, queries, COUNT)
    figures = {}
    for name, inverted_from in (("flat_codes", len(kept) + 1), ("lists", 0)):
        with tempfile.TemporaryDirectory() as folder:
            write_dense(Path(folder), kept, inverted_from=inverted_from)
            index = DenseIndex(Path(folder))
            hits = [
                len(np.intersect1d(index.search(query, COUNT)[0], rows))
                for query, rows in zip(queries, truth, strict=True)
            ]
            (took,) = _rounds([lambda n, index=index: index.search(queries[n], COUNT)])  # type: ignore[misc]
        figures[f"homedepot_{name}_recall100"] = Figure(float(np.mean(hits)) / COUNT)
        figures[f"homedepot_{name}_ms"] = Figure(took, "ms")
    figures["homedepot_local_dimension"] = Figure(local_dimension(kept, queries[:100]))
    return figures


def exact(vectors: Vectors, queries: Vectors, count: int) -> list[Rows]:
    """The rows nearest to each query, by comparing all."""
    found: list[Rows] = []
    for start in range(0, len(queries), 25):
        scores = (vectors @ queries[start : start + 25].T).T
        found.extend(np.argpartition(-each, count)[:count] for each in scores)
    return found


def _rounds(calls: list[Callable[[int], Any]], queries: int = _QUERIES) -> list[float]:
    """For each call the lowest of several rounds' medians in ms; the rounds take turns."""
    usable = queries - queries % BATCH if queries > BATCH else queries
    medians = np.empty((_ROUNDS, len(calls)))
    for turn in range(_ROUNDS):
        for which, call in enumerate(calls):
            medians[turn, which] = np.median(
                _milliseconds([lambda n=n, call=call: call(n) for n in range(usable)])  # type: ignore[misc]
            )
    return [float(value) for value in medians.min(axis=0)]


def _milliseconds(calls: list[Callable[[], Any]], repeats: int = 1) -> list[float]:
    taken = []
    for call in calls * repeats:
        # The processor time of this thread: all work is done in it, and the machine may do other work beside.
        start = thread_time()
        call()
        taken.append(1e3 * (thread_time() - start))
    return taken
