"""A shopper's event, as ``feedback`` takes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4


@dataclass(frozen=True, slots=True)
class Event:
    """Something a shopper did with a product.

    Attributes:
        user: the shopper's id.
        item: the product's id.
        event: view, click, cart, wishlist, purchase, rating, remove or dislike.
        timestamp: seconds since 1970 (UTC); None takes the server's clock.
        query: the query whose answer showed the product.
        position: place of the product in that answer, from 0.
        event_id: the server stores an id once, so sending the same event again is harmless.
        release: which release's answer showed the product (``SearchResult.release``); tells releases apart
            in ``endcap monitor``.

    Example:
        >>> Event("ada", "p-17", "click", query="cordless drill", position=2).event
        'click'
    """

    user: str
    item: str
    event: str = "click"
    timestamp: float | None = None
    query: str | None = None
    position: int | None = None
    event_id: str = field(default_factory=lambda: uuid4().hex)
    release: str | None = None

    @classmethod
    def of(cls, event: Event | Mapping[str, Any]) -> Event:
        """An event from a mapping with the same names.

        Raises:
            TypeError: a name is missing or unknown; the message says which.
        """
        if isinstance(event, Event):
            return event
        if not isinstance(event, Mapping):
            raise TypeError(f"event: a mapping or an Event is expected, got {type(event).__name__}")
        return cls(**event)
