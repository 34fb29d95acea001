"""The names of :mod:`endcap_rerank.events` that ranking uses, where they were first."""

from endcap_rerank.events.event import MAX_CLOCK_SKEW, Event, Interaction
from endcap_rerank.events.sqlite import SqliteEventStore
from endcap_rerank.events.store import IMPORT_CHUNK, EventStore

__all__ = ["IMPORT_CHUNK", "MAX_CLOCK_SKEW", "Event", "EventStore", "Interaction", "SqliteEventStore"]
