"""What the SDK returns: frozen, typed, compared by value."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any


@dataclass(frozen=True, slots=True)
class Item:
    """One product of an answer.

    Attributes:
        id: the shop's product id.
        score: relevance and taste in one number; comparable within one answer only.
        explanation: the terms that add up to the score, when ``explain=True`` was asked for.
        product: the product's fields named by ``fields=[…]``, when asked for.
    """

    id: str
    score: float
    explanation: Mapping[str, Any] | None = None
    product: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Tag:
    """A piece of the query that the encoder understood.

    Attributes:
        label: the tag (``creator``, ``price``, ``品牌`` … whatever the release was trained on).
        text: the piece of the query.
        start: first character of it in the query.
        end: one past the last character.
        confidence: 0 to 1.
    """

    label: str
    text: str
    start: int
    end: int
    confidence: float


@dataclass(frozen=True)
class SearchResult:
    """The answer to one query or recommendation, best first. Iterates over its items.

    Attributes:
        items: the products.
        latency: seconds the call took, seen from the client; those of one ``search_many`` request are equal.
    """

    items: tuple[Item, ...]
    latency: float = field(default=0.0, compare=False)
    _info: bytes = field(default=b"", repr=False)

    @property
    def ids(self) -> list[str]:
        """The product ids, best first."""
        return [item.id for item in self.items]

    @cached_property
    def info(self) -> Mapping[str, Any]:
        """Everything that the server says about how it read the query, as it came."""
        # Parsed on first use: most callers only want the items.
        info: dict[str, Any] = json.loads(self._info) if self._info else {}
        return info

    @cached_property
    def tags(self) -> tuple[Tag, ...]:
        """What was understood in the query."""
        return tuple(
            Tag(
                str(tag["label"]),
                str(tag["text"]),
                int(tag["start"]),
                int(tag["end"]),
                float(tag["confidence"]),
            )
            for tag in self.info.get("tags", ())
        )

    @property
    def constraints(self) -> Mapping[str, Any]:
        """The limits that were read from the query and applied (brand, price …)."""
        constraints: Mapping[str, Any] = self.info.get("constraints") or {}
        return constraints

    @property
    def notes(self) -> tuple[str, ...]:
        """What the server wants a person to know: unknown shopper, caps that could not be kept …"""
        return tuple(self.info.get("notes", ()))

    @property
    def release(self) -> str:
        """Id of the release that answered."""
        return str(self.info.get("release", ""))

    def __iter__(self) -> Iterator[Item]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)
