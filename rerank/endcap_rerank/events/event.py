"""One thing a shopper did."""

from __future__ import annotations

import math
import re
import time
import uuid
from typing import NamedTuple

from endcap_rerank.errors import InvalidInputError
from endcap_rerank.masking import masked
from endcap_rerank.requests import valid_id
from endcap_rerank.schema import EVENT_WEIGHTS, MAX_QUERY_CHARS

MAX_CLOCK_SKEW = 24 * 3600.0
"""Seconds that a timestamp may lie ahead of the server's clock."""

# Narrower than an id: a release is shown where nothing of a shopper may be.
_RELEASE = re.compile(r"[A-Za-z0-9._-]{0,64}\Z")


Interaction = tuple[str, str, float]
"""What taste is made of: item, event and timestamp, as an :class:`Event` has them."""


class Event(NamedTuple):
    """One thing a shopper did.

    Attributes:
        event: a key of ``schema.EVENT_WEIGHTS``.
        timestamp: seconds since 1970 (UTC).
        query: what was searched for, empty when nothing was; personal data in it is masked.
        position: rank at which the item was shown, from 0; None when unknown.
        event_id: makes a repeated report count once; empty for a report that stands for itself.
        release: id of the release whose answer showed the item; empty when unknown.
    """

    user: str
    item: str
    event: str
    timestamp: float
    query: str = ""
    position: int | None = None
    event_id: str = ""
    release: str = ""

    @classmethod
    def validated(
        cls,
        user: str,
        item: str,
        event: str,
        timestamp: float | None = None,
        *,
        query: str | None = None,
        position: int | None = None,
        event_id: str | None = None,
        release: str | None = None,
        now: float | None = None,
    ) -> Event:
        """Check every field. No ``timestamp`` takes the clock.

        Raises:
            InvalidInputError: names the field.
        """
        now = time.time() if now is None else now
        if not isinstance(event, str) or event not in EVENT_WEIGHTS:
            raise InvalidInputError("event", event, f"one of {', '.join(EVENT_WEIGHTS)} is expected")
        if timestamp is None:
            timestamp = now
        if (
            isinstance(timestamp, bool)
            or not isinstance(timestamp, (int, float))
            or not math.isfinite(timestamp)
            or timestamp < 0
        ):
            raise InvalidInputError("timestamp", timestamp, "seconds since 1970 (UTC) are expected")
        if timestamp > now + MAX_CLOCK_SKEW:
            raise InvalidInputError("timestamp", timestamp, "a time that has passed is expected, in seconds")
        query = query or ""
        if not isinstance(query, str) or len(query) > MAX_QUERY_CHARS:
            raise InvalidInputError(
                "query", query, f"a text of at most {MAX_QUERY_CHARS} characters is expected"
            )
        if position is not None and (
            isinstance(position, bool) or not isinstance(position, int) or not 0 <= position < 2**31
        ):
            raise InvalidInputError("position", position, "a rank from 0 is expected")
        if release is not None and not (isinstance(release, str) and _RELEASE.match(release)):
            raise InvalidInputError(
                "release", release, "a release's id (letters, digits and ._-, at most 64) is expected"
            )
        return cls(
            user=valid_id("user", user, required=True),
            item=valid_id("item", item, required=True),
            event=event,
            timestamp=float(timestamp),
            query=masked(query),
            position=position,
            event_id=valid_id("event_id", event_id),
            release=release or "",
        )

    def identified(self) -> Event:
        """Itself with an id: what has none is identified by user, item, event and timestamp."""
        if self.event_id:
            return self
        name = f"{self.user}\x1f{self.item}\x1f{self.event}\x1f{self.timestamp!r}"
        return self._replace(event_id=uuid.uuid5(uuid.NAMESPACE_OID, name).hex)
