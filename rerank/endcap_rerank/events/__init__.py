"""Shoppers' events: what they are, and the stores that keep them."""

from endcap_rerank.events.event import MAX_CLOCK_SKEW, Event, Interaction
from endcap_rerank.events.opening import EVENTS_FILE, events_file, events_missing, open_events
from endcap_rerank.events.redis import RedisEventStore
from endcap_rerank.events.sqlite import SqliteEventStore
from endcap_rerank.events.store import IMPORT_CHUNK, EventStore, Limits

__all__ = [
    "EVENTS_FILE",
    "IMPORT_CHUNK",
    "MAX_CLOCK_SKEW",
    "Event",
    "EventStore",
    "Interaction",
    "Limits",
    "RedisEventStore",
    "SqliteEventStore",
    "events_file",
    "events_missing",
    "open_events",
]
