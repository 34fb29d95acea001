"""The whole rerank stage on one core: retrieve 200, personalize, select 20 by DPP with caps, explain."""

from __future__ import annotations

import json
import tempfile
from itertools import pairwise
from pathlib import Path
from time import perf_counter, sleep

import numpy as np
import numpy.typing as npt
from endcap_rerank.events_store import Event, SqliteEventStore
from endcap_rerank.index import build_index
from endcap_rerank.product import Product
from endcap_rerank.ranker import EVENTS_FILE, Ranker
from endcap_rerank.release import INDEX_DIR
from endcap_rerank.requests import SearchRequest
from endcap_rerank.settings import Settings

from benchmarks.clustered_vectors import Mixture, fill
from benchmarks.untuned import draft_release
from endcap.reports import Figure

K = 20
CANDIDATES = 200
SHOPPERS = 50
EVENTS = 40
"""Of each shopper."""
OPTIONS = json.dumps({"caps": {"brand": 2, "category": 3}, "explain": True})

STAGES = ("retrieve", "rank", "diversify", "answer")

ROUNDS = 15
PAUSE = 1.0
"""Seconds between two rounds."""

_KINDS = (
    "lamp", "tent", "kettle", "drill", "chair", "jacket", "bottle", "table",
    "shirt", "mouse", "cable", "shelf", "bag", "mirror", "rug", "clock",
)  # fmt: skip
_WORDS = (
    "red", "blue", "green", "black", "oak", "steel", "slim", "large",
    "light", "travel", "garden", "office", "kids", "water", "fast", "soft",
)  # fmt: skip


def measure(
    products: int = 100_000, requests: int = 600, *, rounds: int = ROUNDS, pause: float = PAUSE
) -> dict[str, Figure]:
    """``rerank_stage_p50_ms``; beside it the medians of the stages and the 99th percentile.

    All of the round of the lowest median, as a machine that others share changes its speed within seconds, by
    half and more. What the other rounds took stands beside it: ``slowest_round``.

    Args:
        products: of the catalogue, with vectors of ``clustered_vectors``, 400 brands, 160 categories, prices.
        requests: of a round, each for another query, shoppers in turn.
        rounds: each with a ranker of its own, which remembers no query.
        pause: seconds between two rounds.
    """
    with tempfile.TemporaryDirectory(prefix="endcap-rerank-") as name:
        folder = Path(name)
        mixture = Mixture.make()
        vectors, clusters = fill(mixture, products, 1)
        goods = _goods(clusters)
        build_index(folder / INDEX_DIR, goods, vectors, encoder_id="minilm")
        # What a shopper likes lies together: neighbours in a few clusters.
        rng = np.random.default_rng(3)
        by_cluster = np.argsort(clusters, kind="stable")
        events = []
        for shopper in range(SHOPPERS):
            starts = rng.integers(0, products, 4)
            for place in range(EVENTS):
                row = by_cluster[(starts[place % 4] + rng.integers(0, 30)) % products]
                kind = ("view", "click", "click", "purchase")[place % 4]
                events.append(Event(f"s{shopper}", goods[row].id, kind, 1e9 + 3600.0 * place))
        SqliteEventStore(folder / EVENTS_FILE).import_events(events)
        asked, about = fill(mixture, requests + requests // 10, 2)
        timed = []
        for number in range(rounds):
            sleep(pause if number else 0.0)
            ranker = Ranker.open(draft_release(folder), Settings(state=folder, candidates=CANDIDATES))
            timed.append(_round(ranker, asked, about)[requests // 10 :])  # the first ones warm up
    medians = [float(np.median(taken.sum(axis=1))) for taken in timed]
    taken = timed[int(np.argmin(medians))]
    whole = taken.sum(axis=1)
    picks = np.random.default_rng(7).integers(len(whole), size=(1000, len(whole)))
    low, high = np.percentile(np.median(whole[picks], axis=1), (2.5, 97.5))
    beside = {stage: float(np.median(taken[:, place])) for place, stage in enumerate(STAGES)}
    beside["p99"] = float(np.percentile(whole, 99))
    beside["slowest_round"] = max(medians)
    value = float(np.median(whole))
    return {"rerank_stage_p50_ms": Figure(value, "ms", float(low), float(high), "<= 2.5", beside)}


def _round(
    ranker: Ranker, asked: npt.NDArray[np.float32], about: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Milliseconds of each of STAGES for each of ``asked``: [n, s]."""
    taken = np.empty((len(asked), len(STAGES)))
    for number, (vector, cluster) in enumerate(zip(asked, about.tolist(), strict=True)):
        words = f"{_WORDS[number % len(_WORDS)]} {_KINDS[cluster % len(_KINDS)]}"
        taken[number] = _stages(ranker, words, vector, f"s{number % SHOPPERS}")
    return taken


def _stages(ranker: Ranker, query: str, vector: npt.NDArray[np.float32], user: str) -> list[float]:
    """Milliseconds of each of STAGES."""
    request = SearchRequest.validated(query, vector, user=user, k=K, options=OPTIONS)
    times = [perf_counter()]
    pool = ranker.retrieve(request)
    times.append(perf_counter())
    scored = ranker.rank(request, pool)
    times.append(perf_counter())
    selected = ranker.diversify(request, pool, scored)
    times.append(perf_counter())
    ranker.answer(request, pool, scored, selected)
    times.append(perf_counter())
    return [1000.0 * (after - before) for before, after in pairwise(times)]


def _goods(clusters: npt.NDArray[np.int64]) -> list[Product]:
    rng = np.random.default_rng(5)
    brands = rng.zipf(1.3, len(clusters)) % 400
    words = rng.integers(0, len(_WORDS), (len(clusters), 3))
    prices = np.round(np.exp(rng.normal(3.0, 1.0, len(clusters))), 2)
    return [
        Product(
            id=f"p{row}",
            title=" ".join([*(_WORDS[word] for word in words[row]), _KINDS[cluster % 16], str(row % 997)]),
            brand=f"Brand {brands[row]}",
            category=f"Hall {cluster % 16} > Aisle {cluster % 160}",
            price=float(prices[row]),
            rating=3.0 + row % 5 / 2,
            review_count=row * 7 % 503,
        )
        for row, cluster in enumerate(clusters.tolist())
    ]
