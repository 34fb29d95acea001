"""The highest rate that keeps a p99, and the rate beyond which a server falls behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.load import as_report, latency_figures, server_figures
from benchmarks.load_page import write_page
from benchmarks.load_run import Load, Run, new_log, send
from benchmarks.load_series import Piece, by_phase, by_time, write_csv
from benchmarks.scratch_server import scratch_server
from endcap.reports import Figure, Report

KEPT_UP = 0.97
"""Share of what was due that has to be answered within the run; below it the server falls behind."""
CLOSE = 0.05
"""The search ends when the highest rate that keeps the p99 and the lowest that does not are so close."""
TRIALS = 8

Send = Callable[[Load], Run]


def saturation(send_load: Send, load: Load) -> Run:
    """A run as fast as answers come: its ``answer_rate`` is the most that the server gives."""
    return send_load(replace(load, shape="saturate"))


def keeps(run: Run, p99_ms: float) -> bool:
    """Whether a run had no error, kept up with what was due, and had its p99 within the bound."""
    measured = run.measured
    return (
        not measured.errors
        and run.kept_up >= KEPT_UP
        and float(np.percentile(measured.shoppers.latency, 99)) <= p99_ms
    )


def trials(send_load: Send, load: Load, p99_ms: float, highest: float) -> Iterator[tuple[Run, bool]]:
    """Runs at rates that halve the distance between one that keeps the p99 and one that does not.

    Args:
        send_load: sends a load and gives the run.
        load: what to send, but for its rate.
        p99_ms: the bound.
        highest: the first rate that certainly does not keep it: saturation.
    """
    low, high = 0.0, highest
    for number in range(TRIALS):
        # Most servers keep a usual bound up to near saturation, so the first guess lies high.
        rate = 0.75 * high if number == 0 else (low + high) / 2
        run = send_load(replace(load, shape="steady", rate=rate))
        kept = keeps(run, p99_ms)
        low, high = (rate, high) if kept else (low, rate)
        yield run, kept
        if low and high - low <= CLOSE * high:
            return


def find_rate(
    repository: Path,
    traffic: Path,
    directory: Path,
    load: Load,
    p99_ms: float,
    *,
    progress: Callable[[str], None] = lambda said: None,
) -> Report:
    """Search the highest rate whose p99 is at most ``p99_ms``; write ``load-slo.*`` to ``directory``.

    One server is started and asked at every rate in turn, each for ``load.seconds`` after a warm-up.

    Raises:
        EndcapError: no server, or Locust did not run.
    """
    log = new_log(directory / "load-slo.log")
    tried: list[tuple[Run, bool]] = []
    with scratch_server(repository, name="load") as (server, _, folder):

        def send_load(asked: Load) -> Run:
            return send(server, traffic, asked, folder, log)

        progress("saturation")
        full = saturation(send_load, load)
        progress(f"saturation: {full.answer_rate:.4g}/s")
        for run, kept in trials(send_load, load, p99_ms, full.answer_rate):
            tried.append((run, kept))
            p99 = float(np.percentile(run.measured.shoppers.latency, 99))
            progress(f"{run.load.rate:.4g}/s: p99 {p99:.4g} ms, {'kept' if kept else 'not kept'}")
    report, best = _report(full, tried, p99_ms)
    report.write(directory)
    points = [piece for run, _ in tried for piece in _at_rate(run)]
    write_csv(points, directory / "load-slo.csv")
    write_page(report, directory / "load-slo.html", run=best, pieces=by_time(best), points=points)
    return report


def _report(full: Run, tried: list[tuple[Run, bool]], p99_ms: float) -> tuple[Report, Run]:
    kept = [run for run, good in tried if good]
    missed = [run.load.rate for run, good in tried if not good]
    best = max(kept, key=lambda run: run.load.rate) if kept else tried[-1][0]
    rate = best.load.rate if kept else 0.0
    figures = {
        "rate_at_slo": Figure(rate, "1/s", rate, min(missed, default=full.answer_rate)),
        "slo_p99_ms": Figure(p99_ms, "ms"),
        "saturation_rps": Figure(full.answer_rate, "1/s"),
        "errors": Figure(float(sum(best.measured.errors.values()))),
        **latency_figures("", best.measured.shoppers, with_intervals=True),
        "trials": Figure(float(len(tried))),
        **server_figures(best.counted),
    }
    found = (
        "rate_at_slo is the highest rate tried that kept" if kept else "rate_at_slo is 0: no rate tried kept"
    )
    notes = (
        f"{found} a p99 of {p99_ms:g} ms, without an error and with {KEPT_UP:.0%} of what was due answered "
        "in time; its high is the lowest rate that did not keep it. The search halves the distance between "
        f"the two, {best.load.seconds:g} s at each rate, down to {CLOSE:.0%}; saturation_rps is what came "
        "when each user asked again at once. The other figures are of the run at "
        f"{best.load.rate:.4g} requests a second. " + as_report(best).notes
    )
    return Report("load-slo", figures, notes), best


def _at_rate(run: Run) -> list[Piece]:
    return [replace(piece, phase=f"{run.load.rate:.4g}/s") for piece in by_phase(run)]
