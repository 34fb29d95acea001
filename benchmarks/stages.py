"""Where the time of one request goes: each stage in process, the whole request over gRPC, interleaved."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from endcap_client import Client, Event
from endcap_export.registry import RELEASES, current
from endcap_rerank.settings import Settings

from benchmarks import triton_metrics
from benchmarks.scratch_server import scratch_server
from benchmarks.traffic import Traffic, never_repeated
from endcap.launcher import Server
from endcap.local import LocalSearch
from endcap.reports import Figure, Report

SUMMED = ("tokenize", "encode", "retrieve", "rank", "diversify")
"""The stages that the whole request is held against; making the answer's JSON comes on top."""

K = 20
DIVERSITY = 0.3
SHOPPERS = 20
ROUND = 20
"""Requests of one kind in a row: enough to be warm, few enough that both kinds meet the same machine."""
STEPS = ("tokenize", "encode", "rerank")
HANDED_OVER = 2.0
"""Seconds after which the models have put what they summed up on the metrics page."""


def measure(
    repository: Path,
    queries: Path,
    *,
    requests: int = 600,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Report:
    """The report ``latency`` of a registered repository.

    A server is started on it with fresh stores, shoppers are made known to it by events, and rounds of
    requests in process and over gRPC (one client, one at a time) alternate. No query is sent twice.

    Args:
        repository: what ``endcap register`` wrote.
        queries: a file of queries, or a shop's folder.
        requests: how many of each kind, after a warm-up of a tenth.
        progress: called with (done, total) after each round.

    Raises:
        EndcapError: the server does not start, or a request fails.
    """
    # Other work on the machine is not shared out evenly between one busy process and a waiting server:
    # with a load above about half a core the ratio means nothing, and the report has to show that.
    load_before = os.getloadavg()[0]
    texts = never_repeated(Traffic.of_path(queries).queries)
    with (
        scratch_server(repository, name="stages") as (server, state, _),
        Client(server.grpc_url, timeout=30.0) as shop,
    ):
        served = current(repository)
        local = LocalSearch.open(
            repository / RELEASES / served.release, Settings(state=state), precision=served.precision
        )
        users = _introduce(shop, texts)
        same = _same_answers(local, shop, texts, users)
        rounds = max(2, -(-requests // ROUND))
        warm_up = max(1, rounds // 10)
        inner: list[list[dict[str, float]]] = []
        outer: list[list[float]] = []
        for number in range(warm_up + rounds):
            if number == warm_up:
                inner, outer = [], []
                before = _reading(server)
            sent = [(next(texts), users[place % len(users)]) for place in range(ROUND)]
            # In turns, so that neither kind always meets what the other left in the CPU's caches.
            for kind in ("inner", "outer") if number % 2 else ("outer", "inner"):
                if kind == "inner":
                    inner.append([_local(local, query, user)[1] for query, user in sent])
                else:
                    results = [shop.search(q, user=u, k=K, diversity=DIVERSITY) for q, u in sent]
                    outer.append([1000 * result.latency for result in results])
            progress(number + 1, warm_up + rounds)
        counted = triton_metrics.between(before, _reading(server))
    release = local.ranker.release
    figures = _figures(inner, outer) | _in_the_server(counted, outer)
    hits = sum(value for name, value in counted.items() if name.endswith("/cache_hits"))
    figures["cache_hits"] = Figure(hits, goal="= 0")
    figures["same_answers"] = Figure(same, goal="= 1")
    figures["products"] = Figure(float(release.manifest["products"]))
    figures["load_average_before"] = Figure(load_before, goal="<= 0.5")
    figures["requests"] = Figure(float(rounds * ROUND))
    notes = (
        f"Release {release.id}, encoder {served.precision}. One client over gRPC through the SDK, one "
        f"request at a time, k={K}, diversity {DIVERSITY}, {SHOPPERS} shoppers with events, no query sent "
        "twice. In process: the same queries and shoppers, one thread, stage by stage. Rounds of "
        f"{ROUND} requests of each kind alternate on the machine that also runs the server. stages_sum is "
        "the sum of tokenize, encode, retrieve, rank and diversify of a request; the intervals are 95% by "
        "bootstrap over rounds; triton_* are Triton's own means of a step, with the hop into the model's "
        "process and caches as cold as others left them; server_* are the models' own means of a stage, "
        "without the hop. end_to_end_ratio holds the whole request against the stages in process, where one "
        "follows the other with warm caches; end_to_end_triton_ratio, of means, against Triton's steps: what "
        "gRPC, the ensemble and its queues add to them."
    )
    return Report("latency", figures, notes)


def _reading(server: Server) -> dict[str, float]:
    time.sleep(HANDED_OVER)
    return triton_metrics.read(server.metrics_url)


def _in_the_server(counted: triton_metrics.Reading, outer: list[list[float]]) -> dict[str, Figure]:
    figures: dict[str, Figure] = {}
    steps = 0.0
    for step in STEPS:
        compute = triton_metrics.per_request(counted, step, "compute_us")
        queue = triton_metrics.per_request(counted, step, "queue_us")
        figures[f"triton_{step}_mean_ms"] = Figure(compute, "ms", baselines={"queue": queue})
        steps += compute
    for stage, mean in triton_metrics.stages(counted).items():
        figures[f"server_{stage}_mean_ms"] = Figure(mean, "ms")
    whole = np.array(outer).mean(axis=1)
    picks = np.random.default_rng(7).integers(len(whole), size=(1000, len(whole)))
    means = whole[picks].mean(axis=1)
    figures["end_to_end_mean_ms"] = _with_interval(float(whole.mean()), means, "ms")
    figures["triton_steps_mean_ms"] = Figure(steps, "ms")
    figures["end_to_end_triton_ratio"] = _with_interval(
        float(whole.mean()) / steps, means / steps, "", "<= 1.5"
    )
    return figures


def _introduce(shop: Client, texts: Iterator[str]) -> list[str]:
    """Shoppers with twelve events each, on products that searches found."""
    numbers = random.Random(7)
    found = [item for _ in range(SHOPPERS) for item in shop.search(next(texts), k=K).ids]
    users = [f"bench-{number}" for number in range(SHOPPERS)]
    kinds = ("view", "click", "click", "cart", "purchase")
    shop.feedback(
        [Event(user, numbers.choice(found), numbers.choice(kinds)) for user in users for _ in range(12)]
    )
    return users


def _same_answers(local: LocalSearch, shop: Client, texts: Iterator[str], users: list[str]) -> float:
    """Share of requests that both ways answer with the same products in the same order."""
    equal: list[bool] = []
    for user in users:
        query = next(texts)
        expected, _ = _local(local, query, user)
        equal.append(shop.search(query, user=user, k=K, diversity=DIVERSITY).ids == expected)
    return sum(equal) / len(equal)


def _local(local: LocalSearch, query: str, user: str) -> tuple[list[str], dict[str, float]]:
    """Product ids and the milliseconds of each stage."""
    ranked, seconds = local.timed(query, user=user, k=K, diversity=DIVERSITY)
    return ranked.item_ids, {stage: 1000 * spent for stage, spent in seconds.items()}


def _figures(inner: list[list[dict[str, float]]], outer: list[list[float]]) -> dict[str, Figure]:
    figures: dict[str, Figure] = {}
    for stage in (*SUMMED, "answer"):
        values = [request[stage] for each in inner for request in each]
        for percentile in (50, 99):
            figures[f"{stage}_p{percentile}_ms"] = Figure(float(np.percentile(values, percentile)), "ms")
    sums = np.array([[sum(request[stage] for stage in SUMMED) for request in each] for each in inner])
    whole = np.array(outer)
    picks = np.random.default_rng(7).integers(len(sums), size=(1000, len(sums)))
    sum_p50 = np.median(sums[picks].reshape(len(picks), -1), axis=1)
    whole_p50 = np.median(whole[picks].reshape(len(picks), -1), axis=1)
    figures["stages_sum_p50_ms"] = _with_interval(float(np.median(sums)), sum_p50, "ms")
    figures["stages_sum_p99_ms"] = Figure(float(np.percentile(sums, 99)), "ms")
    figures["end_to_end_p50_ms"] = _with_interval(float(np.median(whole)), whole_p50, "ms", "<= 4")
    figures["end_to_end_p99_ms"] = Figure(float(np.percentile(whole, 99)), "ms")
    ratio = float(np.median(whole) / np.median(sums))
    figures["end_to_end_ratio"] = _with_interval(ratio, whole_p50 / sum_p50, "", "<= 1.5")
    return figures


def _with_interval(value: float, resampled: npt.NDArray[np.float64], unit: str, goal: str = "") -> Figure:
    low, high = np.percentile(resampled, (2.5, 97.5))
    return Figure(value, unit, float(low), float(high), goal)
