"""The benchmark of what fails while it serves."""

from __future__ import annotations

from typing import Annotated

import typer

from endcap.commands.bench.options import REPORTS, Output, Queries, Repository
from endcap.commands.bench.run import add_checkout, asked_or_prepared, publish
from endcap.console import errors, reports_errors


@reports_errors
def reliability(
    repository: Repository = None,
    queries: Queries = None,
    only: Annotated[
        str, typer.Option(help="Parts to measure, with commas between.")
    ] = "switches,overload,fuzz,kills,store,privacy",
    quick: Annotated[bool, typer.Option("--quick", help="A minute, to see that it runs.")] = False,
    output: Output = REPORTS,
) -> None:
    """Releases switched under load, overload, kill -9, fuzzed requests, Redis stopped: reliability.json.

    About a quarter of an hour. Needs redis-server or valkey-server, and a repository with two releases;
    the demo shop's gets a second one where it has but one.
    """
    add_checkout()
    from benchmarks.reliability.measure import QUICK, Size, measure
    from benchmarks.repositories import demo_of_two

    repository, traffic = asked_or_prepared(repository, queries, demo_of_two)
    with errors.status("reliability") as status:
        report = measure(
            repository,
            traffic,
            size=QUICK if quick else Size(),
            parts=[part.strip() for part in only.split(",") if part.strip()],
            progress=lambda stage: status.update(stage),
        )
    publish(report, output)
