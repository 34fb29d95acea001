"""Answers as tables and panels on a terminal."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from endcap_client import Item, SearchResult
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

FIELDS = ["title", "brand", "category", "price", "currency"]
"""The product fields that the tables need."""

COLORS = ("cyan", "green", "magenta", "yellow", "blue", "red", "bright_black")
_SIGNS = {"USD": "$", "CNY": "¥"}


def price_of(product: Mapping[str, Any]) -> str:
    """The price as a shopper reads it; empty where it is unknown."""
    if "price" not in product:
        return ""
    currency = product.get("currency", "")
    amount = f"{product['price']:,.2f}"
    return f"{_SIGNS[currency]}{amount}" if currency in _SIGNS else f"{amount} {currency}".strip()


def understood(query: str, result: SearchResult) -> RenderableType:
    """The query with its tags coloured, and what was read from it."""
    text = Text(query, style="bold")
    labels = Text()
    colors = {
        label: COLORS[i % len(COLORS)] for i, label in enumerate(sorted({t.label for t in result.tags}))
    }
    for tag in result.tags:
        text.stylize(colors[tag.label], tag.start, tag.end)
        labels.append(f"{tag.text} ", style=colors[tag.label])
        labels.append(f"{tag.label} {tag.confidence:.2f}   ", style="dim")
    lines = [text, labels]
    if result.constraints:
        lines.append(Text(f"read as: {json.dumps(dict(result.constraints), ensure_ascii=False)}"))
    lines += [Text(f"note: {note}", style="dim") for note in result.notes]
    return Panel(Text("\n").join(lines), title="the query as understood", title_align="left")


def ranking(
    title: str,
    items: Sequence[Item],
    *,
    footer: str = "",
    highlight: Sequence[str] = (),
    before: Sequence[str] | None = None,
) -> Table:
    """A list of products.

    Args:
        highlight: brands to print bold.
        before: ids of an earlier answer; each product then shows how many places it rose or fell.
    """
    table = Table(title=title, title_justify="left", caption=footer, caption_justify="left", expand=True)
    table.add_column("", justify="right", style="dim", no_wrap=True, width=2)
    if before is not None:
        table.add_column("", no_wrap=True, width=4)
    table.add_column("product", no_wrap=True, overflow="ellipsis", ratio=3)
    table.add_column("brand", no_wrap=True, overflow="ellipsis", ratio=1)
    table.add_column("price", justify="right", no_wrap=True)
    for position, item in enumerate(items):
        product = item.product or {}
        brand = str(product.get("brand", ""))
        row: list[RenderableType] = [str(position + 1)]
        if before is not None:
            row.append(moved(before.index(item.id) if item.id in before else None, position))
        row += [
            Text(str(product.get("title", item.id))),
            Text(brand, style="bold green" if brand in highlight else ""),
            price_of(product),
        ]
        table.add_row(*row)
    return table


def moved(was: int | None, now: int) -> Text:
    """How a product moved: ``▲2``, ``▼1``, ``new``, or nothing where it stayed."""
    if was is None:
        return Text("new", style="green")
    if was == now:
        return Text("")
    return Text(f"▲{was - now}", style="green") if now < was else Text(f"▼{now - was}", style="red")


def side_by_side(left: RenderableType, right: RenderableType, *, width: int) -> RenderableType:
    """Two lists beside each other, or below each other where the terminal is narrow."""
    grid = Table.grid(padding=(0, 2), expand=True)
    if width < 100:
        grid.add_row(left)
        grid.add_row(right)
        return grid
    grid.add_column(ratio=1)
    grid.add_column(ratio=1)
    grid.add_row(left, right)
    return grid


def variety(items: Sequence[Item], distance: float) -> str:
    """One line about how mixed a list is: brands, categories, ILD."""
    brands = {str((item.product or {}).get("brand", "")) for item in items}
    categories = {str((item.product or {}).get("category", "")) for item in items}
    counted = [
        f"{len(brands)} brand{'s' if len(brands) != 1 else ''}",
        f"{len(categories)} categor{'ies' if len(categories) != 1 else 'y'}",
    ]
    return " · ".join([*counted, f"ILD {distance:.3f}"])


def explained(item: Item) -> RenderableType:
    """The terms of one product's score, largest first, and the server's sentence."""
    explanation = dict(item.explanation or {})
    terms: Mapping[str, float] = explanation.get("terms", {})
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("term")
    table.add_column("adds", justify="right")
    for name, value in sorted(terms.items(), key=lambda entry: -abs(entry[1])):
        table.add_row(name, f"{value:+.4f}")
    table.add_row(Text("score", style="bold"), Text(f"{item.score:+.4f}", style="bold"))
    title = str((item.product or {}).get("title", item.id))
    return Panel(
        Group(table, Text(), Text(str(explanation.get("text", "")))), title=Text(title), title_align="left"
    )
