"""Benchmarks of retrieval and ranking, in process."""

from __future__ import annotations

from typing import Annotated

import typer

from endcap.commands.bench.options import REPORTS, DataSets, Output
from endcap.commands.bench.run import add_checkout, publish, steps
from endcap.console import reports_errors


@reports_errors
def retrieval(
    data: DataSets = None,
    products: Annotated[int, typer.Option(min=20_000, help="Products of the large catalogue.")] = 1_000_000,
    seconds: Annotated[float, typer.Option(min=2, help="How long the catalogue changes under search.")] = 60,
    kills: Annotated[int, typer.Option(min=1, help="Writers that are killed at a random moment.")] = 10,
    output: Output = REPORTS,
) -> None:
    """Nearest products of a million, filtered, in three processes, under updates: retrieval.json."""
    add_checkout()
    from endcap_rerank.settings import Settings
    from threadpoolctl import threadpool_limits

    from benchmarks.retrieval import measure
    from endcap.console import errors

    folder = data or Settings.from_environment().data
    with errors.status("retrieval") as status, threadpool_limits(1):
        report = measure(
            products=products,
            seconds=seconds,
            kills=kills,
            data=folder if folder and (folder / "homedepot").is_dir() else None,
            progress=lambda stage: status.update(stage),
        )
    publish(report, output)


@reports_errors
def ranking(
    data: DataSets = None,
    products: Annotated[int, typer.Option(min=200, help="Products of the demo shop.")] = 5000,
    shoppers: Annotated[int, typer.Option(min=10, help="Shoppers of the demo shop.")] = 400,
    only: Annotated[
        str | None, typer.Option(help="One part alone: office, shop or search; writes ranking-PART.json.")
    ] = None,
    output: Output = REPORTS,
) -> None:
    """Next purchase of the Office shoppers beside other recommenders; personalization: ranking.json."""
    add_checkout()
    from endcap_rerank.settings import Settings

    from benchmarks.ranking import measure
    from endcap.console import errors

    with errors.status("ranking") as status:
        report = measure(
            data or Settings.from_environment().data,
            products=products,
            shoppers=shoppers,
            only=only,
            pictures=output,
            progress=lambda stage: status.update(stage),
        )
    publish(report, output)


@reports_errors
def diversify(
    rounds: Annotated[int, typer.Option(min=8, help="Rounds of each pair at 200 candidates.")] = 400,
    cases: Annotated[
        int, typer.Option(min=1, help="Random requests that each strategy is held against its reference on.")
    ] = 1000,
    products: Annotated[
        int, typer.Option(min=100, help="Products of the catalogue on which the whole stage is timed.")
    ] = 100_000,
    output: Output = REPORTS,
) -> None:
    """Selection of 20 products beside pyversity, the whole rerank stage, on one thread: diversify.json."""
    add_checkout()

    from benchmarks.diversify import measure

    with steps("diversify") as progress:
        report = measure(
            rounds=rounds,
            cases=cases,
            products=products,
            progress=progress,
        )
    publish(report, output)
