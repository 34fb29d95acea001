"""Locust, headless, against a server of its own; the run as a report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks import triton_metrics
from benchmarks.load_page import write_page
from benchmarks.load_run import Load, Requests, Run, new_log, send
from benchmarks.load_series import PERCENTILES, by_phase, by_time, intervals, write_csv
from benchmarks.scratch_server import scratch_server
from endcap.reports import Figure, Report


def run_load(
    repository: Path,
    traffic: Path,
    directory: Path,
    load: Load,
    *,
    waiting: Callable[[], None] = lambda: None,
) -> Report:
    """Start a server on ``repository``, send ``load``, write ``load.*`` to ``directory``.

    The server's stores are fresh and thrown away, so a run leaves nothing behind. Written: the report
    ``load.json``, a page with pictures ``load.html``, a row for each stretch of time ``load.csv``, Locust's
    own page ``load-locust.html`` and its log ``load.log``.

    Args:
        repository: what ``endcap register`` wrote.
        traffic: folder of a shop, or a file of queries.
        waiting: called four times a second during the run.

    Raises:
        EndcapError: no server, or Locust did not run. Failed requests are figures, not an error.
    """
    log = new_log(directory / "load.log")
    with scratch_server(repository, name="load") as (server, _, folder):
        page = directory / "load-locust.html"
        run = send(server, traffic, load, folder, log, waiting=waiting, page=page)
    report = as_report(run)
    report.write(directory)
    pieces = by_time(run)
    write_csv(pieces, directory / "load.csv")
    write_page(report, directory / "load.html", run=run, pieces=pieces, points=by_phase(run))
    return report


def as_report(run: Run) -> Report:
    """The figures of a run: errors by class, rates, latency by protocol and call, what the server counted."""
    measured = run.measured
    errors = Figure(float(sum(measured.errors.values())), goal="= 0")
    figures: dict[str, Figure] = {"errors": errors}
    for name, count in sorted(measured.errors.items()):
        figures[f"errors_{name}"] = Figure(float(count))
    figures["offered_rps"] = Figure(len(measured) / run.load.seconds, "1/s")
    figures["rps"] = Figure(run.answer_rate, "1/s")
    figures |= latency_figures("", measured.shoppers, with_intervals=True)
    for protocol in sorted(set(measured.protocol) - {"none"}):
        spoken = measured.where(measured.protocol == protocol)
        figures[f"{protocol}_errors"] = Figure(float(sum(spoken.errors.values())), goal="= 0")
        figures[f"{protocol}_rps"] = Figure(len(spoken.answered) / run.load.seconds, "1/s")
        figures |= latency_figures(f"{protocol}_", spoken.shoppers)
        for call in sorted(set(spoken.call)):
            figures |= latency_figures(f"{protocol}_{call}_", spoken.where(spoken.call == call))
    figures["generator_lag_p99_ms"] = Figure(float(np.percentile(measured.lag, 99)), "ms")
    figures |= server_figures(run.counted)
    return Report("load", figures, " ".join([_notes(run.load), *_messages(run)]))


def latency_figures(stem: str, requests: Requests, *, with_intervals: bool = False) -> dict[str, Figure]:
    """``STEMp50_ms`` … of the answered; none where nothing was answered."""
    answered = requests.answered
    if not len(answered):
        return {}
    bounds = intervals(requests) if with_intervals else {}
    return {
        f"{stem}p{percentile}_ms": Figure(
            float(np.percentile(answered.latency, percentile)), "ms", *bounds.get(percentile, (None, None))
        )
        for percentile in PERCENTILES
    }


def server_figures(counted: triton_metrics.Reading) -> dict[str, Figure]:
    """Mean time of each model's request in queue and computation, of ranking's stages; cache hits."""
    figures: dict[str, Figure] = {}
    for model in triton_metrics.models(counted):
        for what in ("queue", "compute"):
            mean = triton_metrics.per_request(counted, model, f"{what}_us")
            figures[f"server_{model}_{what}_ms"] = Figure(mean, "ms")
    for stage, mean in triton_metrics.stages(counted).items():
        figures[f"server_stage_{stage}_ms"] = Figure(mean, "ms")
    share = triton_metrics.cache_share(counted)
    if share is not None:
        figures["server_cache_hit_share"] = Figure(share)
    if counted:
        failed = sum(value for name, value in counted.items() if name.endswith("/failed"))
        figures["server_failed"] = Figure(failed)
    return figures


def _notes(load: Load) -> str:
    mix = load.mix
    spoken = {"both": "gRPC and HTTP in turns", "grpc": "gRPC", "http": "HTTP"}[load.protocol]
    rate = (
        "as fast as answers come" if load.shape == "saturate" else f"{load.rate:g} requests a second offered"
    )
    return (
        f"Locust through the SDK, {spoken}, {load.workers} generating process(es), at most {load.users} "
        f"requests in flight; shape {load.shape}, {rate}, {load.seconds:g} s after {load.warm_up:g} s of "
        "warm-up. Arrivals are Poisson and do not wait for answers; latency counts from when a request was "
        "due, of answered requests; intervals are 95% by bootstrap over stretches of a second or more. "
        f"Visits: search, click, search, recommend; queries by Zipf over the query log, {mix.fresh:.0%} of "
        f"them never asked before; {mix.clicks:.0%} of lists are clicked; {mix.updates:.1%} of requests "
        "change the catalogue: p50, p95 and p99 without a call's name are of all calls but those. k=20, the "
        "server's default diversity, response cache on; load generator and server share the machine. "
        "server_* are Triton's own means of a request."
    )


def _messages(run: Run) -> list[str]:
    often = sorted(run.messages.items(), key=lambda item: -item[1])
    return [f"Error ({count}x): {text}." for text, count in often[:5]]
