"""The store that the settings name."""

from __future__ import annotations

from pathlib import Path

from endcap_rerank.errors import InvalidInputError
from endcap_rerank.events.hashed import HashedUsers
from endcap_rerank.events.redis import SCHEMES, RedisEventStore
from endcap_rerank.events.sqlite import SqliteEventStore
from endcap_rerank.events.store import EventStore, Limits
from endcap_rerank.privacy import UserKey
from endcap_rerank.settings import Settings

EVENTS_FILE = "events.db"
"""Name of the SQLite file in ``Settings.state``."""


def open_events(settings: Settings, *, at_once: bool = True) -> EventStore:
    """Open the store of ``settings.events``, by default the SQLite file in ``settings.state``.

    Args:
        at_once: whether a file that cannot be opened is an error now. A server that is down always shows at
            the first use.

    Raises:
        InvalidInputError: the URL or the key file cannot be used.
        StoreError: the file cannot be opened.
    """
    limits = Limits(settings.keep_events or None, settings.keep_days or None)
    scheme = settings.events.partition("://")[0]
    store: EventStore
    if scheme in SCHEMES:
        store = RedisEventStore(settings.events, limits=limits)
    else:
        store = SqliteEventStore(events_file(settings), limits=limits, at_once=at_once)
    if settings.user_key_file is not None:
        return HashedUsers(store, UserKey.read(settings.user_key_file))
    return store


def events_missing(settings: Settings) -> bool:
    """Whether the store is a file that is not there: opening would make an empty one.

    Raises:
        InvalidInputError: the URL cannot be used.
    """
    return settings.events.partition("://")[0] not in SCHEMES and not events_file(settings).is_file()


def events_file(settings: Settings) -> Path:
    """The SQLite file of the settings.

    Raises:
        InvalidInputError: ``settings.events`` names something else.
    """
    if not settings.events:
        return settings.state / EVENTS_FILE
    scheme, mark, rest = settings.events.partition("://")
    # Three slashes lead a path, as everywhere; a fourth an absolute one, as SQLAlchemy has it.
    path = rest.removeprefix("/") if rest.startswith("//") else rest
    if scheme != "sqlite" or not mark or not path.startswith("/") or path == "/":
        # A mistyped URL may hold a password: only what cannot be one is shown.
        expected = "sqlite:///path or redis://host:port/database is expected"
        raise InvalidInputError("ENDCAP_EVENTS", f"{scheme[:20]}://…" if mark else "no URL", expected)
    return Path(path)
