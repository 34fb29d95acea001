"""The one settings object, read from the environment by the server's backends and by the CLI."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from endcap_rerank.errors import InvalidInputError


@dataclass(frozen=True)
class Settings:
    """What an operator may set. Every field is an environment variable ``ENDCAP_`` + its upper-case name.

    Attributes:
        state: folder of what outlives a release: shoppers' events and catalogue changes.
        candidates: how many products retrieval hands to ranking.
        events_per_user: how many of a shopper's latest events are read for a request.
        events: URL of the store of events, ``sqlite:///path`` or ``redis://host:port/database``; empty for
            the SQLite file in ``state``.
        user_key_file: file of the secret by which users' ids are hashed before they are stored; they are
            stored as they are when left out.
        keep_events: how many of a shopper's latest events are kept; 0 keeps all.
        keep_days: for how many days an event is kept; 0 keeps it for good.
        vectors: URL of the Milvus that searches the vectors, ``milvus://host:port``; empty for the release's
            own index.
        blocked: file of item ids that never appear, one a line; none when left out.
        slow_ms: a request whose ranking takes so many milliseconds is logged; 0 logs none.
        data: folder of the real data sets that tests and benchmarks use.
    """

    state: Path = Path("build/state")
    candidates: int = 200
    events_per_user: int = 200
    events: str = ""
    user_key_file: Path | None = None
    keep_events: int = 0
    keep_days: int = 0
    vectors: str = ""
    blocked: Path | None = None
    slow_ms: int = 500
    data: Path = Path("../shared/data")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Settings:
        """Read ``ENDCAP_*`` variables.

        Raises:
            InvalidInputError: a variable has the wrong type or range; the message names it.
        """
        env = os.environ if environment is None else environment
        return cls(
            state=Path(env.get("ENDCAP_STATE", str(cls.state))),
            candidates=_integer(env, "ENDCAP_CANDIDATES", cls.candidates, 1, 10_000),
            events_per_user=_integer(env, "ENDCAP_EVENTS_PER_USER", cls.events_per_user, 1, 100_000),
            events=env.get("ENDCAP_EVENTS", cls.events),
            user_key_file=Path(env["ENDCAP_USER_KEY_FILE"]) if env.get("ENDCAP_USER_KEY_FILE") else None,
            keep_events=_integer(env, "ENDCAP_KEEP_EVENTS", cls.keep_events, 0, 10_000_000),
            keep_days=_integer(env, "ENDCAP_KEEP_DAYS", cls.keep_days, 0, 36_500),
            vectors=env.get("ENDCAP_VECTORS", cls.vectors),
            blocked=Path(env["ENDCAP_BLOCKED"]) if env.get("ENDCAP_BLOCKED") else None,
            slow_ms=_integer(env, "ENDCAP_SLOW_MS", cls.slow_ms, 0, 3_600_000),
            data=Path(env.get("ENDCAP_DATA", str(cls.data))),
        )


def _integer(env: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    raw = env.get(name)
    if raw is None:
        return default
    expected = f"an integer from {low} to {high} is expected"
    try:
        value = int(raw)
    except ValueError:
        raise InvalidInputError(name, raw, expected) from None
    if not low <= value <= high:
        raise InvalidInputError(name, raw, expected)
    return value
