"""Benchmarks of single requests: where their time goes, what the SDK adds."""

from __future__ import annotations

from typing import Annotated

import typer

from endcap.commands.bench.options import REPORTS, Output, Queries, Repository
from endcap.commands.bench.run import add_checkout, asked_or_prepared, publish, steps
from endcap.console import reports_errors


@reports_errors
def stages(
    repository: Repository = None,
    queries: Queries = None,
    requests: Annotated[int, typer.Option(min=10, help="Measured requests of each kind.")] = 600,
    output: Output = REPORTS,
) -> None:
    """Time of each stage in process, and of the whole request over gRPC: latency.json.

    Without --repository: the 54,667 products of build/homedepot (built first where ENDCAP_DATA is), else the
    demo shop.
    """
    add_checkout()

    from benchmarks.repositories import real_or_demo
    from benchmarks.stages import measure

    repository, queries = asked_or_prepared(repository, queries, real_or_demo)
    with steps("stages") as progress:
        report = measure(
            repository,
            queries,
            requests=requests,
            progress=progress,
        )
    publish(report, output)


@reports_errors
def sdk(
    repository: Repository = None,
    queries: Queries = None,
    pairs: Annotated[int, typer.Option(min=50, help="Calls of SDK and tritonclient each.")] = 1500,
    calls: Annotated[int, typer.Option(min=100, help="Calls over which nothing shall grow.")] = 10_000,
    seconds: Annotated[
        float, typer.Option(min=1, help="Load on two servers, one of them killed halfway.")
    ] = 8.0,
    output: Output = REPORTS,
) -> None:
    """The SDK beside bare tritonclient, its growth, deadlines, hedging, and a killed server: sdk.json."""
    add_checkout()
    from benchmarks.repositories import demo
    from benchmarks.sdk import measure
    from endcap.console import errors

    repository, queries = asked_or_prepared(repository, queries, demo)
    with errors.status("sdk") as status:
        report = measure(
            repository,
            queries,
            pairs=pairs,
            calls=calls,
            seconds=seconds,
            progress=lambda stage: status.update(stage),
        )
    publish(report, output)
