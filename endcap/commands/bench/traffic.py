"""Benchmarks under load: a server of its own and many users."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from endcap.commands.bench.options import REPORTS, Output, Repository
from endcap.commands.bench.run import add_checkout, asked_or_prepared, show
from endcap.console import reports_errors

if TYPE_CHECKING:
    from endcap.reports import Report

Traffic = Annotated[
    Path | None, typer.Option(help="Folder of a shop, or a file of queries (csv, jsonl, txt).")
]
Users = Annotated[int, typer.Option(min=2, help="Requests in flight at most.")]
Protocol = Annotated[str, typer.Option(help="grpc, http, or both in turns.")]
Workers = Annotated[int, typer.Option(min=1, help="Processes that generate the load.")]
Fresh = Annotated[float, typer.Option(min=0, max=1, help="Share of queries never asked before.")]
Clicks = Annotated[float, typer.Option(min=0, max=1, help="Share of lists of which a product is clicked.")]
Updates = Annotated[float, typer.Option(min=0, max=1, help="Share of requests that change the catalogue.")]


@reports_errors
def load(
    repository: Repository = None,
    traffic: Traffic = None,
    shape: Annotated[str, typer.Option(help="steady, ramp, steps, spike, or saturate.")] = "steady",
    seconds: Annotated[float, typer.Option(min=1, help="How long, without the warm-up.")] = 30.0,
    warm_up: Annotated[float, typer.Option(min=0, help="Seconds before that; counted nowhere.")] = 3.0,
    rate: Annotated[float, typer.Option(min=0.1, help="Requests a second, all users together.")] = 40.0,
    users: Users = 64,
    protocol: Protocol = "both",
    workers: Workers = 1,
    fresh: Fresh = 0.1,
    clicks: Clicks = 0.35,
    updates: Updates = 0.01,
    slo_p99_ms: Annotated[
        float | None,
        typer.Option(min=0.1, help="Search the highest steady rate that keeps this p99: load-slo.json."),
    ] = None,
    output: Output = REPORTS,
) -> None:
    """Locust against a server of its own on the demo shop; exit status 1 when a request failed.

    With --slo-p99-ms only the rate that is reported has to be without an error.
    """
    add_checkout()
    from rich.progress import Progress

    from benchmarks.load import run_load
    from benchmarks.load_run import Load
    from benchmarks.repositories import demo
    from benchmarks.session import Mix
    from benchmarks.slo import find_rate
    from endcap.console import errors

    asked = Load(
        shape=shape,
        rate=rate,
        seconds=seconds,
        warm_up=warm_up,
        users=users,
        protocol=protocol,
        workers=workers,
        mix=Mix(fresh, clicks, updates),
    )
    length = asked.plan.seconds
    repository, traffic = asked_or_prepared(repository, traffic, demo)
    if slo_p99_ms is not None:
        report = find_rate(repository, traffic, output, asked, slo_p99_ms, progress=_say)
    else:
        with Progress(console=errors, transient=True) as progress:
            task = progress.add_task("load", total=length + 4)
            report = run_load(
                repository, traffic, output, asked, waiting=lambda: progress.advance(task, 0.25)
            )
    _finish(report, output)


@reports_errors
def soak(
    repository: Repository = None,
    traffic: Traffic = None,
    minutes: Annotated[float, typer.Option(min=0.5, help="How long at 60% of saturation.")] = 10.0,
    users: Users = 64,
    protocol: Protocol = "both",
    workers: Workers = 1,
    output: Output = REPORTS,
) -> None:
    """Minutes at 60% of saturation: errors, growth of memory, drift of the p99: soak.json.

    Exit status 1 when a request failed.
    """
    add_checkout()
    from benchmarks import soak as benchmark
    from benchmarks.load_run import Load
    from benchmarks.repositories import demo

    asked = Load(users=users, protocol=protocol, workers=workers, warm_up=5.0)
    repository, traffic = asked_or_prepared(repository, traffic, demo)
    _finish(benchmark.soak(repository, traffic, output, asked, minutes=minutes, progress=_say), output)


@reports_errors
def ui(
    repository: Repository = None,
    traffic: Traffic = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Of Locust's web page.")] = 8089,
    workers: Workers = 1,
) -> None:
    """A server of its own, and Locust's web page to start, change and watch the load; Ctrl-C ends both."""
    add_checkout()
    from benchmarks.load_ui import serve
    from benchmarks.repositories import demo

    repository, traffic = asked_or_prepared(repository, traffic, demo)
    raise typer.Exit(serve(repository, traffic, port=port, workers=workers, progress=_say))


def _say(text: str) -> None:
    from endcap.console import errors

    errors.print(text, markup=False)


def _finish(report: Report, output: Path) -> None:
    from endcap.console import errors

    show(report, output)
    if report.figures["errors"].value:
        errors.print(f"[red]{report.figures['errors'].value:g} requests failed[/]; {report.notes}")
        raise typer.Exit(1)
