"""Products, events and judgments as a shop brings them, validated row by row."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, TypeVar

from endcap_rerank.errors import InvalidInputError
from endcap_rerank.events_store import Event
from endcap_rerank.product import Product
from endcap_rerank.requests import valid_id
from endcap_rerank.tokenizer import validate_query

from endcap_export.rows import MAX_BAD_SHARE, Loaded, read_table

T = TypeVar("T")

PRODUCT_COLUMNS = tuple(Product.__dataclass_fields__)
EVENT_COLUMNS = ("user_id", "item_id", "event", "timestamp", "query", "position", "event_id", "release")
JUDGMENT_COLUMNS = ("query", "item_id", "relevance")
RIGHT = 0.8
"""Where right answers begin on the shop's scale of grades, from 0 to 1: what a search should find, and what
training pulls to the query (2.67 and 3 of 1 to 3)."""
_TIME = "seconds since 1970 or an ISO 8601 time are expected"


@dataclass(frozen=True)
class Judgment:
    """How relevant a product is to a query, on the shop's own scale; more is better."""

    query: str
    item: str
    relevance: float


def read_products(path: Path, *, max_bad_share: float = MAX_BAD_SHARE) -> Loaded[Product]:
    """Read a catalogue; of two rows with one id the later is bad.

    Maps come as a JSON object in CSV, as a map or struct in Parquet. ``created_at`` may be seconds since
    1970, an ISO 8601 text or a timestamp; without a zone it counts as UTC.

    Raises:
        DataError: see ``read_table``.
    """
    seen: dict[str, int] = {}

    def parse(row: Mapping[str, Any], line: int) -> Product:
        values = dict(row)
        values["attributes"] = _map(values.get("attributes"))
        if (created := values.get("created_at")) is not None:
            values["created_at"] = _seconds("created_at", created)
        product = Product.from_mapping(values)
        return _once(seen, product.id, "id", line, product)

    return read_table(
        path, parse, required=("id", "title"), known=PRODUCT_COLUMNS, max_bad_share=max_bad_share
    )


def read_judgments(
    path: Path, *, known_items: Container[str] | None = None, max_bad_share: float = MAX_BAD_SHARE
) -> Loaded[Judgment]:
    """Read graded query–product pairs; a pair judged twice and an unknown item are bad rows.

    Raises:
        DataError: see ``read_table``.
    """
    seen: dict[tuple[str, str], int] = {}

    def parse(row: Mapping[str, Any], line: int) -> Judgment:
        query = validate_query(_text(row.get("query"))).strip()
        item = valid_id("item_id", _text(row.get("item_id")), required=True)
        if known_items is not None and item not in known_items:
            raise InvalidInputError("item_id", item, "an id of the products file is expected")
        relevance = _number("relevance", row.get("relevance"))
        return _once(seen, (query, item), "query, item_id", line, Judgment(query, item, relevance))

    return read_table(
        path, parse, required=JUDGMENT_COLUMNS, known=JUDGMENT_COLUMNS, max_bad_share=max_bad_share
    )


def read_events(
    path: Path, *, known_items: Container[str] | None = None, max_bad_share: float = MAX_BAD_SHARE
) -> Loaded[Event]:
    """Read a log of what shoppers did.

    ``timestamp`` is seconds since 1970, an ISO 8601 text or a timestamp (UTC without a zone). Events
    without an ``event_id`` keep it empty; the store identifies them by their content.

    Raises:
        DataError: see ``read_table``.
    """

    def parse(row: Mapping[str, Any], line: int) -> Event:
        position, moment = row.get("position"), row.get("timestamp")
        if _absent(moment):
            raise InvalidInputError("timestamp", "", _TIME)
        event = Event.validated(
            user=_text(row.get("user_id")),
            item=_text(row.get("item_id")),
            event=_text(row.get("event")),
            timestamp=_seconds("timestamp", moment),
            query=_text(row.get("query")) or None,
            position=None if _absent(position) else int(_number("position", position)),
            event_id=_text(row.get("event_id")) or None,
            release=_text(row.get("release")) or None,
        )
        if known_items is not None and event.item not in known_items:
            raise InvalidInputError("item_id", event.item, "an id of the products file is expected")
        return event._replace(event_id=_text(row.get("event_id")))

    return read_table(
        path, parse, required=EVENT_COLUMNS[:4], known=EVENT_COLUMNS, max_bad_share=max_bad_share
    )


def _once(seen: dict[Any, int], key: Any, field: str, line: int, row: T) -> T:
    if key in seen:
        raise InvalidInputError(field, key, f"it stands on line {seen[key]} already")
    seen[key] = line
    return row


def _map(value: Any) -> Any:
    """A map however the format spells it; what is not one is left for the validation to refuse."""
    if isinstance(value, list) and all(isinstance(pair, tuple) and len(pair) == 2 for pair in value):
        return dict(value)
    if isinstance(value, str) and value:
        try:
            return json.loads(value)
        except json.JSONDecodeError:
            raise InvalidInputError("attributes", value, "a JSON object of names to values") from None
    return value


def _absent(value: Any) -> bool:
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))


def _text(value: Any) -> str:
    """A text; numbers become one, since a reader may take the id ``17`` for a number."""
    if _absent(value):
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value)


def _number(field: str, value: Any) -> float:
    expected = "a finite number is expected"
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise InvalidInputError(field, value, expected)
    try:
        number = float(value)
    except ValueError:
        raise InvalidInputError(field, value, expected) from None
    if not math.isfinite(number):
        raise InvalidInputError(field, value, expected)
    return number


def _seconds(field: str, value: Any) -> Any:
    """Seconds since 1970; NaN where absent."""
    moment: datetime | None = None
    if isinstance(value, datetime):
        moment = value
    elif isinstance(value, date):
        moment = datetime(value.year, value.month, value.day)
    elif isinstance(value, str) and value:
        try:
            return float(value)
        except ValueError:
            moment = _parsed(datetime.fromisoformat, value)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    elif _absent(value):
        return math.nan
    if moment is None:
        raise InvalidInputError(field, value, _TIME)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _parsed(parse: Callable[[str], datetime], value: str) -> datetime | None:
    try:
        return parse(value.strip())
    except ValueError:
        return None
