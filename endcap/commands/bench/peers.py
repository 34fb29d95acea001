"""The benchmark beside other ways to build the same search."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from endcap.commands.bench.options import REPORTS, Output, Queries, Repository
from endcap.commands.bench.run import add_checkout, asked_or_prepared, publish
from endcap.console import reports_errors


@reports_errors
def peers(
    repository: Repository = None,
    queries: Queries = None,
    only: Annotated[str, typer.Option(help="Peers to measure, with commas between. [default: all six]")] = "",
    quick: Annotated[bool, typer.Option("--quick", help="One short round: about three minutes.")] = False,
    rounds: Annotated[
        int | None, typer.Option(min=1, help="Rounds. [default: 3, and 1 with --quick]")
    ] = None,
    environment: Annotated[
        Path, typer.Option(help="The peers' own environment; made where it is missing.")
    ] = Path("build/peers-venv"),
    output: Output = REPORTS,
) -> None:
    """Endcap beside FastAPI, LitServe, BentoML, Ray Serve and PyTriton on two cores: peers.json, peers.png.

    Without --repository: build/homedepot (built first where ENDCAP_DATA is), else the demo shop.
    """
    add_checkout()
    from dataclasses import replace

    from endcap_rerank.errors import InvalidInputError

    from benchmarks.peers.measure import measure
    from benchmarks.peers.systems import PEERS
    from benchmarks.peers.turns import QUICK, Plan
    from benchmarks.repositories import real_or_demo
    from endcap.console import errors

    names = [name.strip() for name in only.split(",") if name.strip()]
    known = [peer.name for peer in PEERS]
    for name in names:
        if name not in known:
            raise InvalidInputError("only", name, f"known peers are {', '.join(known)}")
    repository, queries = asked_or_prepared(repository, queries, real_or_demo)
    plan = QUICK if quick else Plan()
    report = measure(
        repository,
        queries,
        plan=replace(plan, rounds=rounds or plan.rounds),
        only=names,
        venv=environment,
        pictures=output,
        told=lambda text: errors.print(text, markup=False, soft_wrap=True),
    )
    publish(report, output)
