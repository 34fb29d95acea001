"""``endcap demo-data``: write the demo shop's files."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from endcap.console import console, reports_errors


@reports_errors
def demo_data(
    directory: Annotated[
        Path, typer.Argument(help="Folder to write the shop's files into; made when missing.")
    ],
    products: Annotated[int, typer.Option(min=1, help="Size of the catalogue.")] = 5000,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same bytes.")] = 7,
    language: Annotated[str, typer.Option(help="en or zh.")] = "en",
    shoppers: Annotated[int, typer.Option(min=0, help="How many shoppers have a history.")] = 400,
    until: Annotated[
        datetime, typer.Option(formats=["%Y-%m-%d"], help="Day (UTC) on which the event log ends.")
    ] = datetime(2025, 11, 1),
) -> None:
    """Write an invented shop: products, events, judgments, tagged queries, as a real shop brings them.

    `shoppers.json` holds the shoppers' hidden tastes: for evaluation only, never an input of the server.
    """
    from endcap.demo_shop import generate

    now = until.replace(tzinfo=UTC).timestamp()
    with console.status("Making the shop…"):
        shop = generate(
            directory, products=products, seed=seed, language=language, shoppers=shoppers, now=now
        )
    console.print(
        f"{shop.directory}: {shop.products:,} products, {shop.queries:,} queries, "
        f"{shop.judgments:,} judgments, {shop.events:,} events of {shop.shoppers:,} shoppers"
    )
