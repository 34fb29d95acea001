"""Whom the console can look through the eyes of: shoppers of an event log."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import NamedTuple

from endcap_export.rows import EXTENSIONS, read_table

SHOWN = 200
"""How many are offered; any other id can be typed."""


class Shopper(NamedTuple):
    """A shopper and how many events the log has of them."""

    id: str
    events: int


def read_shoppers(file: Path, limit: int = SHOWN) -> tuple[Shopper, ...]:
    """The busiest shoppers of an event log (column ``user_id``), busiest first.

    Raises:
        DataError: no such file, no such column, or too many bad rows.
    """
    loaded = read_table(
        file, lambda row, line: str(row.get("user_id") or ""), required=("user_id",), known=("user_id",)
    )
    counts = Counter(user for user in loaded.rows if user)
    busiest = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    return tuple(Shopper(*one) for one in busiest[:limit])


def events_file(folder: Path) -> Path | None:
    """The event log in a shop's folder, if it has one."""
    files = (folder / f"events{extension}" for extension in EXTENSIONS)
    return next((file for file in files if file.is_file()), None)
