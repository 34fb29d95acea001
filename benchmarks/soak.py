"""A long run below saturation: what goes wrong only with time."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from endcap_rerank.errors import InvalidInputError

from benchmarks.load import latency_figures, server_figures
from benchmarks.load_page import Memory, write_page
from benchmarks.load_run import Load, Run, new_log, send
from benchmarks.load_series import by_phase, by_time, write_csv
from benchmarks.process_memory import memory
from benchmarks.scratch_server import scratch_server
from benchmarks.slo import saturation
from endcap.reports import Figure, Report

SHARE = 0.6
"""Of saturation: busy, with room for what is uneven."""
BURST = 15.0
"""Seconds for which saturation is measured, after a warm-up."""
READ_EVERY = 2.0
CACHE_MIB = 16
"""Response cache of the server: small enough to be full before memory is first read."""
FILL = 60.0
"""Seconds of never-seen queries that fill the caches of a ten-minute run."""


def soak(
    repository: Path,
    traffic: Path,
    directory: Path,
    load: Load,
    *,
    minutes: float = 10.0,
    progress: Callable[[str], None] = lambda said: None,
) -> Report:
    """Find saturation, fill the caches, then send 60% of it for ``minutes``.

    Writes ``soak.*`` to ``directory``.
    A window is a minute, or a fifth of a shorter run: ``p99_drift`` holds the last window against the second,
    ``memory_growth`` the memory of the server's processes in the same two.

    Raises:
        InvalidInputError: less than half a minute.
        EndcapError: no server, or Locust did not run.
    """
    if minutes < 0.5:
        raise InvalidInputError("minutes", minutes, "at least 0.5 is expected")
    log = new_log(directory / "soak.log")
    readings: list[tuple[float, float]] = []
    with scratch_server(repository, name="soak", cache_mib=CACHE_MIB) as (server, _, folder):
        progress("saturation")
        burst = replace(load, seconds=min(BURST, 15 * minutes))
        full = saturation(lambda asked: send(server, traffic, asked, folder, log), burst)
        fill = replace(burst, shape="steady", rate=0.8 * full.answer_rate, mix=replace(load.mix, fresh=1.0))
        progress("caches are filled")
        send(server, traffic, replace(fill, seconds=FILL * minutes / 10), folder, log)
        asked = replace(load, shape="steady", rate=SHARE * full.answer_rate, seconds=60 * minutes)
        progress(f"saturation: {full.answer_rate:.4g}/s; {minutes:g} minutes at {asked.rate:.4g}/s")

        def read_memory() -> None:
            now = time.time()
            if not readings or now - readings[-1][0] >= READ_EVERY:
                readings.append((now, memory(server.pid)))

        page = directory / "soak-locust.html"
        run = send(server, traffic, asked, folder, log, waiting=read_memory, page=page)
    over_time = [(at - run.began, mib) for at, mib in readings if at >= run.began]
    report = as_report(run, full.answer_rate, over_time)
    report.write(directory)
    pieces = by_time(run)
    write_csv(pieces, directory / "soak.csv")
    write_page(
        report, directory / "soak.html", run=run, pieces=pieces, points=by_phase(run), memory=over_time
    )
    return report


def as_report(run: Run, saturation_rps: float, memory_over_time: Memory) -> Report:
    """The figures of a soak.

    Args:
        run: steady, after a warm-up.
        saturation_rps: what the server gives at most.
        memory_over_time: MiB by seconds from the start of the run.
    """
    measured = run.measured
    window = min(60.0, run.load.seconds / 5)
    end = run.load.plan.seconds
    second = (run.begin + window, run.begin + 2 * window)
    last = (end - window, end)
    first_p99, last_p99 = (
        float(np.percentile(measured.shoppers.during(*bounds).answered.latency, 99))
        for bounds in (second, last)
    )
    before, after = (_median(memory_over_time, *bounds) for bounds in (second, last))
    peak = max(mib for _, mib in memory_over_time)
    figures = {
        "errors": Figure(float(sum(measured.errors.values())), goal="<= 0"),
        "memory_growth": Figure(
            after / before - 1, goal="<= 0.03", baselines={"second_mib": before, "last_mib": after}
        ),
        "p99_drift": Figure(
            last_p99 / first_p99, goal="<= 1.2", baselines={"second_ms": first_p99, "last_ms": last_p99}
        ),
        "saturation_rps": Figure(saturation_rps, "1/s"),
        "offered_rps": Figure(len(measured) / run.load.seconds, "1/s"),
        "rps": Figure(run.answer_rate, "1/s"),
        **{f"errors_{name}": Figure(float(count)) for name, count in sorted(measured.errors.items())},
        **latency_figures("", measured.shoppers, with_intervals=True),
        "memory_peak_mib": Figure(peak, "MiB"),
        "minutes": Figure(run.load.seconds / 60),
        **server_figures(run.counted),
    }
    notes = (
        f"{run.load.seconds / 60:g} minutes at {SHARE:.0%} of saturation, which a closed loop of "
        f"{run.load.users} users reached just before, on the same server; its caches, of {CACHE_MIB} MiB, "
        f"were then filled by queries that nobody asked before. Windows of {window:g} s: p99_drift is the "
        "last one's p99 over the second one's, memory_growth the median memory of the server's "
        "processes in the last over that in the second, less 1 (proportional set size, index and stores "
        "included). Traffic as in load.json; load generator and server share the machine."
    )
    often = sorted(run.messages.items(), key=lambda item: -item[1])[:5]
    return Report("soak", figures, " ".join([notes, *(f"Error ({n}x): {text}." for text, n in often)]))


def _median(readings: Memory, begin: float, end: float) -> float:
    inside = [mib for at, mib in readings if begin <= at < end]
    return float(np.median(inside))
