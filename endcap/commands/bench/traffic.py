"""Benchmarks under load: a server of its own and many users."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from endcap.commands.bench.options import REPORTS, Output, Repository
from endcap.commands.bench.run import add_checkout, asked_or_prepared, show
from endcap.console import reports_errors


@reports_errors
def load(
    repository: Repository = None,
    traffic: Annotated[
        Path | None, typer.Option(help="Folder of a shop, or a file of queries (csv, jsonl, txt).")
    ] = None,
    seconds: Annotated[float, typer.Option(min=1, help="How long.")] = 30.0,
    rate: Annotated[float, typer.Option(min=0.1, help="Requests a second, all users together.")] = 40.0,
    users: Annotated[int, typer.Option(min=2, help="Half speak gRPC, half HTTP.")] = 16,
    output: Output = REPORTS,
) -> None:
    """Locust against a server of its own on the demo shop; exit status 1 when a request failed."""
    add_checkout()
    from rich.progress import Progress

    from benchmarks.load import run_load
    from benchmarks.repositories import demo
    from endcap.console import errors

    repository, traffic = asked_or_prepared(repository, traffic, demo)
    with Progress(console=errors, transient=True) as progress:
        task = progress.add_task("load", total=seconds + 4)
        report = run_load(
            repository,
            traffic,
            output,
            seconds=seconds,
            rate=rate,
            users=users,
            waiting=lambda: progress.advance(task, 0.25),
        )
    show(report, output)
    if report.figures["errors"].value:
        errors.print(f"[red]{report.figures['errors'].value:g} requests failed[/]; {report.notes}")
        raise typer.Exit(1)
