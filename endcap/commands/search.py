"""``endcap search``: one query to a running server, the answer as a table."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from endcap.console import console, errors, reports_errors

FIELDS = ("title", "brand", "category", "price", "currency", "rating", "in_stock")


@reports_errors
def search(
    query: Annotated[str, typer.Argument(help="What the shopper typed.")],
    server: Annotated[str, typer.Option(help="host:port of gRPC, or http://host:port.")] = "localhost:8001",
    user: Annotated[str | None, typer.Option(help="The shopper; none: not personalized.")] = None,
    k: Annotated[int, typer.Option("--k", "-k", help="How many products.")] = 10,
    diversity: Annotated[
        float | None, typer.Option(help="0: relevance only; 1: the most diverse list.")
    ] = None,
    options: Annotated[
        str, typer.Option(help='Options as JSON, e.g. \'{"filters": {"price_max": 50}}\'.')
    ] = "{}",
    explain: Annotated[bool, typer.Option("--explain", help="Show why each product is there.")] = False,
) -> None:
    """Ask a running server and print what it found."""
    from endcap_client import Client
    from endcap_rerank.errors import InvalidInputError
    from rich.table import Table
    from rich.text import Text

    try:
        given = json.loads(options)
    except ValueError as error:
        raise InvalidInputError("options", options, f"a JSON object is expected ({error})") from None
    if not isinstance(given, dict):
        raise InvalidInputError("options", options, "a JSON object is expected")
    given = {"fields": FIELDS, **given, **({"explain": True} if explain else {})}
    protocol = "http" if server.startswith("http://") else "grpc"
    with Client(server.removeprefix("http://").removeprefix("grpc://"), protocol) as shop:
        try:
            result = shop.search(query, user=user, k=k, diversity=diversity, **given)
        except TypeError as error:  # a name that the SDK does not know
            raise InvalidInputError("options", options, str(error)) from None

    table = Table(title=Text(f"{query!r}: {len(result)} products in {result.latency * 1e3:.1f} ms"))
    for heading in ("#", "id", "title", "brand", "category", "price", "score"):
        table.add_column(heading, justify="right" if heading in ("#", "price", "score") else "left")
    for place, item in enumerate(result, start=1):
        product: Any = item.product or {}
        cells = [
            str(place),
            item.id,
            *(str(product.get(name, "")) for name in ("title", "brand", "category")),
        ]
        cells += [_price(product), f"{item.score:.3f}"]
        table.add_row(*map(Text, cells))
    console.print(table)
    for place, item in enumerate(result, start=1):
        if item.explanation:
            console.print(f"{place:3} {item.id}: {item.explanation.get('text', '')}", markup=False)
    if result.tags:
        console.print(
            "understood: " + ", ".join(f"{tag.label} {tag.text!r}" for tag in result.tags), markup=False
        )
    for note in result.notes:
        errors.print(f"note: {note}", markup=False)


def _price(product: Any) -> str:
    price = product.get("price")
    return "" if price is None else f"{price:.2f} {product.get('currency', '')}".strip()
