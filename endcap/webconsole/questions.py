"""What the page asks, validated: one column of the comparison, one event."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from endcap_client import AsyncClient, EndcapError, Event, SearchResult
from endcap_rerank.errors import InvalidInputError

MAX_COLUMNS = 2
FIELDS = ("title", "brand", "category", "price", "currency", "in_stock", "rating", "image_url", "attributes")
_OPTIONS = ("filters", "caps", "recent", "language")
_COLUMN = ("server", "query", "user", "k", "diversity", *_OPTIONS)
_EVENT = ("server", "user", "item", "event", "query", "position", "release")


@dataclass(frozen=True)
class Question:
    """One column: whom to ask, and what.

    Attributes:
        server: place in ``Setup.servers``.
        query: as typed; blank asks for recommendations.
        user: None is nobody in particular.
        options: what the server reads and judges: filters, caps, recent, language.
    """

    server: int
    query: str
    user: str | None
    k: int
    diversity: float
    options: Mapping[str, Any]

    @classmethod
    def read(cls, document: object, servers: int) -> Question:
        """Validate what the page sent; what the server validates anyhow is left to it.

        Raises:
            InvalidInputError: names the field.
        """
        column = _object("column", document, _COLUMN)
        return cls(
            _server(column, servers),
            _text(column, "query").strip(),
            _text(column, "user").strip() or None,
            _integer(column, "k", 10),
            _number(column, "diversity", 0.0),
            {name: column[name] for name in _OPTIONS if column.get(name)},
        )

    @property
    def batch(self) -> str:
        """Equal for questions that fit into one batch request: options hold for all its rows."""
        return json.dumps(
            [self.server, bool(self.query), self.k, self.diversity, self.options], sort_keys=True
        )


async def ask(client: AsyncClient, questions: list[Question]) -> list[SearchResult | EndcapError]:
    """The answers to questions of one batch, or the error that each of them met."""
    first = questions[0]
    settings: dict[str, Any] = {
        "k": first.k, "diversity": first.diversity, "explain": True, "fields": FIELDS, **first.options,
    }  # fmt: skip
    try:
        if not first.query:
            return [await client.recommend(question.user, **settings) for question in questions]
        users = [question.user for question in questions]
        known = any(user is not None for user in users)
        found: list[SearchResult | EndcapError] = []
        found += await client.search_many(
            [question.query for question in questions], user=users if known else None, **settings
        )
        return found
    except EndcapError as error:
        return [error] * len(questions)


def read_columns(document: object, servers: int) -> list[Question]:
    """The questions of a request ``{"columns": […]}``.

    Raises:
        InvalidInputError: names the field.
    """
    columns = _object("request", document, ("columns",)).get("columns")
    if not isinstance(columns, list) or not 1 <= len(columns) <= MAX_COLUMNS:
        raise InvalidInputError("columns", columns, f"a list of 1 to {MAX_COLUMNS} columns is expected")
    return [Question.read(column, servers) for column in columns]


def read_event(document: object, servers: int) -> tuple[int, Event]:
    """Which server is told, and what.

    Raises:
        InvalidInputError: names the field.
    """
    event = _object("event", document, _EVENT)
    for name in ("user", "item"):
        if not _text(event, name).strip():
            raise InvalidInputError(name, event.get(name), "an id is expected")
    position = None if event.get("position") is None else _integer(event, "position", 0)
    return _server(event, servers), Event(
        _text(event, "user").strip(),
        _text(event, "item"),
        _text(event, "event") or "click",
        query=_text(event, "query").strip() or None,
        position=position,
        release=_text(event, "release") or None,
    )


def _object(field: str, value: object, known: tuple[str, ...]) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InvalidInputError(field, value, "a JSON object is expected")
    for name in value:
        if name not in known:
            raise InvalidInputError(name, value[name], f"known names are {', '.join(known)}")
    return value


def _server(values: Mapping[str, Any], servers: int) -> int:
    server = _integer(values, "server", 0)
    if not 0 <= server < servers:
        raise InvalidInputError("server", server, f"0 to {servers - 1} is expected")
    return server


def _text(values: Mapping[str, Any], name: str) -> str:
    value = values.get(name)
    if value is not None and not isinstance(value, str):
        raise InvalidInputError(name, value, "a text is expected")
    return value or ""


def _integer(values: Mapping[str, Any], name: str, default: int) -> int:
    value = values.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidInputError(name, value, "a whole number is expected")
    return value


def _number(values: Mapping[str, Any], name: str, default: float) -> float:
    value = values.get(name, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InvalidInputError(name, value, "a number is expected")
    return float(value)
