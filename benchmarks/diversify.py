"""Selection of 20 out of 200 and of 1,000 beside pyversity, on one thread and in turns."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt
import pyversity
from endcap_rerank.diversity import STRATEGIES, Cap, SimilarityKernel, sliding
from endcap_rerank.schema import DEFAULT_DIVERSITY
from threadpoolctl import threadpool_limits

from benchmarks import rerank_stage
from benchmarks.slow_selection import mismatches
from endcap.reports import Figure, Report

K = 20
DIMENSION = 384
GOALS = {200: "<= 0.5", 1000: "<= 0.8"}
ALGORITHMS = ("mmr", "dpp", "msd", "ssd")
SETS = 8
"""Different requests, taken in turn, so that no call finds the last one's embeddings in the nearest cache."""

Times = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Request:
    """Candidates of one query."""

    embeddings: npt.NDArray[np.float32]
    relevance: npt.NDArray[np.float32]
    brands: npt.NDArray[np.int32]
    categories: npt.NDArray[np.int32]


def request(size: int, seed: int) -> Request:
    """Candidates as a query finds them: alike all (cosine about 0.3), more so within groups (about 0.7).

    The query lies near one group and ever farther from the others, and words count as well as vectors, so
    that relevance falls off smoothly: no gap parts the candidates worth taking from the rest.
    """
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((max(4, size // 12), DIMENSION))
    common = 0.8 * rng.standard_normal(DIMENSION)
    group = rng.integers(0, len(centres), size)
    vectors = centres[group] + 0.7 * rng.standard_normal((size, DIMENSION)) + common
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    query = np.exp(-np.arange(len(centres)) / (len(centres) / 4)) @ centres + common
    dense, words = vectors @ (query / np.linalg.norm(query)), rng.exponential(size=size)
    relevance = dense / dense.std() + 0.5 * words
    order = np.argsort(-relevance)
    return Request(
        embeddings=np.ascontiguousarray(vectors[order], np.float32),
        relevance=relevance[order].astype(np.float32),
        brands=rng.zipf(1.5, size).clip(max=40).astype(np.int32),
        categories=(group[order] % 12).astype(np.int32),
    )


def measure(
    *,
    rounds: int = 400,
    cases: int = 1000,
    products: int = 100_000,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Report:
    """The report ``diversify``.

    Args:
        rounds: of each pair at n = 200, one call of either in alternating order each; a quarter at 1,000.
        cases: random requests that each strategy is held against its reference on.
        products: of the catalogue on which the whole rerank stage is timed.
        progress: called with (done, total).
    """
    figures: dict[str, Figure] = {}
    total = 2 * (len(ALGORITHMS) + 1) + len(STRATEGIES) + 1
    done = 0
    with threadpool_limits(1):
        for size, goal in GOALS.items():
            requests = [request(size, seed) for seed in range(SETS)]
            count = max(2, rounds if size == 200 else rounds // 4)
            for name in ALGORITHMS:
                figures |= _beside(f"{name}_n{size}", name, requests, count, goal, capped=False)
                progress(done := done + 1, total)
            figures |= _beside(f"dpp_caps_n{size}", "dpp", requests, count, "<= 1", capped=True)
            progress(done := done + 1, total)
        for name in STRATEGIES:
            found = float(len(mismatches(name, range(cases))))
            figures[f"{name}_mismatches"] = Figure(found, goal="= 0")
            progress(done := done + 1, total)
        figures |= rerank_stage.measure(products, max(20, rounds))
        progress(done + 1, total)
    worst = sum(figure.value for name, figure in figures.items() if name.endswith("_mismatches"))
    figures["selection_mismatches"] = Figure(worst, goal="= 0")
    load = os.getloadavg()[0]
    notes = (
        f"k={K}, d={DIMENSION}, diversity {DEFAULT_DIVERSITY}, one thread; rounds of one call each in "
        f"alternating order over {SETS} requests. A ratio is that of the medians, its interval 95% by "
        "bootstrap over rounds. Ours includes making the kernel from the embeddings and all checks. "
        f"pyversity {version('pyversity')} is called with its defaults, which normalize the embeddings; "
        "normalized_us is its time told that they are, where it can be told, and ratio_normalized the ratio "
        "to that. The similarity is the cosine alone, as pyversity's; caps are brand 2 and category 3 "
        "against pyversity without caps. SSD has the same window in both. Mismatches: of "
        f"{cases} random requests for each strategy (5 to 25 candidates; brands and categories in the "
        "kernel, caps, windows, pins), those where a step takes what the reference would not, ties within "
        f"1e-4 of gain aside. rerank_stage: searches in process, {products} products with clustered vectors, "
        "shoppers with 40 events each, 200 candidates, DPP 20 with caps of 2 a brand and 3 a category, "
        "explained; tokenizing and encoding not included; the round of the lowest median of "
        f"{rerank_stage.ROUNDS}, {rerank_stage.PAUSE:g} s apart. "
        f"Load average at the end: {load:.1f} on {os.cpu_count()} cores."
    )
    return Report("diversify", figures, notes)


def _beside(
    label: str, name: str, requests: list[Request], count: int, goal: str, *, capped: bool
) -> dict[str, Figure]:
    theirs = getattr(pyversity, name)
    # pyversity's window is the whole list by default; a candidate beside the K - 1 before it.
    ours = sliding(K + 1) if name == "ssd" else STRATEGIES[name]
    told = partial(theirs, normalize=False) if "normalize" in inspect.signature(theirs).parameters else None

    def run_ours(each: Request) -> None:
        caps = [Cap("brand", each.brands, 2), Cap("category", each.categories, 3)] if capped else ()
        ours(each.relevance, SimilarityKernel(each.embeddings), K, DEFAULT_DIVERSITY, caps=caps)

    def run_theirs(call: Callable[..., Any], each: Request) -> None:
        call(each.embeddings, each.relevance, K, DEFAULT_DIVERSITY)

    runs: list[Callable[[Request], None]] = [run_ours, partial(run_theirs, theirs)]
    if told is not None:
        runs.append(partial(run_theirs, told))
    taken = _in_turns(runs, requests, count)
    medians = np.median(taken, axis=1)
    picks = np.random.default_rng(7).integers(count, size=(1000, count))
    resampled = np.median(taken[:, picks], axis=2)
    low, high = np.percentile(resampled[0] / resampled[1], (2.5, 97.5))
    baselines = {"ours_us": float(medians[0]), "pyversity_us": float(medians[1])}
    if told is not None:
        baselines["normalized_us"] = float(medians[2])
        baselines["ratio_normalized"] = float(medians[0] / medians[2])
    value = float(medians[0] / medians[1])
    return {f"{label}_ratio": Figure(value, "", float(low), float(high), goal, baselines)}


def _in_turns(runs: list[Callable[[Request], None]], requests: list[Request], count: int) -> Times:
    """Microseconds [runs, count]; each round calls every run once, from another one on."""
    taken = np.empty((len(runs), count))
    warm_up = max(2, count // 20)
    for number in range(-warm_up, count):
        each = requests[number % len(requests)]
        for turn in range(len(runs)):
            which = (number + turn) % len(runs)
            start = perf_counter()
            runs[which](each)
            elapsed = perf_counter() - start
            if number >= 0:
                taken[which, number] = 1e6 * elapsed
    return taken
