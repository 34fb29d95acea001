"""Events in Redis or Valkey, for servers on several machines."""

from __future__ import annotations

import json
import logging
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

from endcap_rerank.errors import InvalidInputError, StoreError
from endcap_rerank.events.event import Event
from endcap_rerank.events.redis_scripts import APPEND, FORGET, OF_USER, PRUNE
from endcap_rerank.events.store import NO_LIMITS, EventStore, Limits

SCHEMES = ("redis", "rediss", "valkey", "valkeys")
PREFIX = "endcap:"
_EVENTS, _TIMES, _VERSION, _USER = (
    f"{PREFIX}events", f"{PREFIX}times", f"{PREFIX}version", f"{PREFIX}user:"
)  # fmt: skip
# events   hash   event id → the event, a JSON list
# times    sorted set   event ids by timestamp, all of them
# user:U   sorted set   event ids of one shopper by timestamp
# version  counter of changes

_REST = 1.0
"""Seconds without another attempt to read after the server could not be reached: searches shall not wait."""

_PAGE = 1000


class RedisEventStore(EventStore):
    """Events in one Redis or Valkey server (or a primary with replicas; not a cluster of shards).

    An append is one script: all of its events or none, seen at once by every client. It outlives a crash
    of the server as far as the server is told to write it down: ``appendonly yes``, ``appendfsync
    always``, and ``maxmemory-policy noeviction``; where it is told otherwise a warning is logged.

    The server is not asked before the first use, so that searches are served while it is down. It is
    asked again a second later.

    Args:
        url: ``redis://[user:password@]host:port/database``; ``rediss`` for TLS; ``valkey`` is the same.
        timeout: seconds to wait for an answer.
        read_timeout: seconds that a search waits for a shopper's events.

    Raises:
        InvalidInputError: no such URL.
        StoreError: the package ``redis`` is not installed.
    """

    def __init__(
        self, url: str, *, timeout: float = 2.0, read_timeout: float = 0.25, limits: Limits = NO_LIMITS
    ) -> None:
        try:
            import redis
        except ImportError:
            raise StoreError(
                "events in Redis need the package redis: pip install 'endcap-rerank[redis]'"
            ) from None
        self.limits = limits
        self._name, url = _checked(url)
        self._error = redis.RedisError
        self._unreachable = (redis.ConnectionError, redis.TimeoutError)
        # Every event has an id before it is sent, so that what is sent again is not stored twice.
        self._client: Any
        self._reader: Any
        self._client, self._reader = (
            redis.Redis.from_url(
                url,
                socket_timeout=seconds,
                socket_connect_timeout=min(seconds, 0.5),
                decode_responses=True,
                retry=_once_more(),
            )
            for seconds in (timeout, read_timeout)
        )
        self._scripts = {
            script: self._client.register_script(script) for script in (APPEND, OF_USER, FORGET, PRUNE)
        }
        self._rests_until = 0.0
        self._warned = False

    def append(self, events: Sequence[Event]) -> int:
        """Store all events or none; an ``event_id`` that is known already is skipped.

        Returns:
            How many were new.

        Raises:
            StoreError: the server refused them, or they cannot be stored: nothing was. It did not answer:
                they may have been stored, and sending them again with the same ``event_id`` is safe.
        """
        kept = self.limits.kept(events)
        if not kept:
            return 0
        oldest = self.limits.oldest()
        arguments: list[str] = [_USER, str(self.limits.events or 0), "" if oldest is None else repr(oldest)]
        for event in kept:
            arguments += self._row(event)
        added = int(self._ask("written", self._run, APPEND, (_EVENTS, _TIMES, _VERSION), arguments))
        self._warn()
        return added

    def of_user(self, user: str, limit: int) -> list[Event]:
        """The user's latest events by timestamp, newest first, at most ``limit``.

        Raises:
            StoreError: the server cannot be reached, or could not a moment ago.
        """
        oldest = self.limits.oldest()
        arguments = ["" if oldest is None else repr(oldest), str(self.limits.read(limit))]
        if limit < 1:
            return []
        self._check_rest()
        found = self._ask("read", self._run, OF_USER, (_EVENTS, _USER + user), arguments, self._reader)
        # Not _make: what was stored before there was a release has one value less.
        return [Event(*event) for event in json.loads(found)]

    def forget(self, user: str) -> int:
        """Delete every event of the user, and have the server write its files without them.

        Returns:
            How many events there were.

        Raises:
            StoreError: nothing was deleted; or all was, but the server's files still hold them, as the
                message says.
        """
        keys = (_EVENTS, _TIMES, _VERSION, _USER + user)
        deleted = int(self._ask("written", self._run, FORGET, keys, []))
        self._ask("written anew in the server's files, though they are deleted", self._rewrite_files)
        return deleted

    def prune(self) -> int:
        """Delete what lies beyond the limits; return how many events that were.

        Raises:
            StoreError: what was deleted before stays deleted.
        """
        keys, oldest, most = (_EVENTS, _TIMES, _VERSION), self.limits.oldest(), self.limits.events
        deleted = 0
        while oldest is not None:
            expired = int(self._ask("written", self._run, PRUNE, keys, [_USER, repr(oldest), "0"]))
            deleted += expired
            if not expired:
                break
        if most is not None:
            for users in self._ask("read", list, self._users()):
                arguments = [_USER, "", str(most), *users]
                deleted += int(self._ask("written", self._run, PRUNE, keys, arguments))
        return deleted

    def every(self) -> Iterator[Event]:
        """Every event, oldest first, in pages: what is added meanwhile may be among them.

        Raises:
            StoreError: the server cannot be reached.
        """
        low: float = self.limits.oldest() or float("-inf")
        seen = 0
        # By time and not by place: places shift when events are deleted meanwhile.
        while page := self._ask(
            "read", self._client.zrangebyscore, _TIMES, low, "+inf", start=seen, num=_PAGE, withscores=True
        ):
            ids = [event_id for event_id, _ in page]
            for document in self._ask("read", self._client.hmget, _EVENTS, ids):
                if document is not None:
                    yield Event(*json.loads(document))
            last = page[-1][1]
            seen = seen + len(page) if last == low else sum(score == last for _, score in page)
            low = last

    def version(self) -> tuple[int, int]:
        """A counter of changes.

        Raises:
            StoreError: the server cannot be reached.
        """
        return int(self._ask("read", self._client.get, _VERSION) or 0), 0

    def close(self) -> None:
        """Close all connections; the store opens others when it is used again."""
        self._client.close()
        self._reader.close()

    def _run(self, script: str, keys: Sequence[str], arguments: Sequence[str], client: Any = None) -> Any:
        return self._scripts[script](keys=keys, args=arguments, client=client)

    def _row(self, event: Event) -> tuple[str, str, str, str]:
        texts = (event.user, event.item, event.event, event.query)
        if not all(isinstance(text, str) for text in texts):
            raise StoreError(f"{self._name}: events could not be written (a value is missing)")
        event = event if event.event_id else event._replace(event_id=uuid.uuid4().hex)
        document = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
        return event.event_id, event.user, repr(event.timestamp), document

    def _users(self) -> Iterator[list[str]]:
        """All shoppers, some at a time; one may come twice."""
        cursor = 0
        while True:
            cursor, keys = self._client.scan(cursor, match=f"{PREFIX}user:*", count=_PAGE)
            if keys:
                yield [key.removeprefix(_USER) for key in keys]
            if not cursor:
                return

    def _rewrite_files(self) -> None:
        """Have the append-only file and the snapshot, where there are any, written from what is there now."""
        info = self._client.info("persistence")
        if info.get("aof_enabled"):
            self._await("aof_rewrite_in_progress", "aof_rewrite_scheduled")
            self._client.bgrewriteaof()
            self._await("aof_rewrite_in_progress", "aof_rewrite_scheduled")
        if info.get("rdb_last_save_time") and self._client.config_get("save").get("save"):
            self._await("rdb_bgsave_in_progress")
            self._client.bgsave()
            self._await("rdb_bgsave_in_progress")

    def _await(self, *flags: str, seconds: float = 600.0) -> None:
        deadline = time.monotonic() + seconds
        while any(self._client.info("persistence").get(flag) for flag in flags):
            if time.monotonic() > deadline:
                raise StoreError(f"{self._name}: the server did not finish writing its files")
            time.sleep(0.02)

    def _check_rest(self) -> None:
        if time.monotonic() < self._rests_until:
            raise StoreError(f"{self._name}: events could not be read (not reached a moment ago)")

    def _ask(self, attempted: str, question: Callable[..., Any], *given: Any, **named: Any) -> Any:
        try:
            answer = question(*given, **named)
        except self._unreachable as error:
            self._rests_until = time.monotonic() + _REST
            raise StoreError(f"{self._name}: events could not be {attempted} ({error})") from error
        except self._error as error:
            raise StoreError(f"{self._name}: events could not be {attempted} ({error})") from error
        self._rests_until = 0.0
        return answer

    def _warn(self) -> None:
        """Log once what makes acknowledged events less than safe."""
        if self._warned:
            return
        self._warned = True
        log = logging.getLogger(__name__)
        try:
            kept_on_disk = self._client.info("persistence").get("aof_enabled")
            policy = self._client.info("memory").get("maxmemory_policy", "noeviction")
        except self._error:  # not everybody may ask; the events are stored all the same
            return
        if not kept_on_disk:
            log.warning("%s: appendonly is off; a crash of the server loses its latest events", self._name)
        if policy != "noeviction":
            log.warning("%s: maxmemory-policy is %s; noeviction is expected", self._name, policy)


def _checked(url: str) -> tuple[str, str]:
    """The name for messages, without a password, and the URL as the package takes it."""
    expected = "redis://host:port/database is expected (rediss, valkey and valkeys as well)"
    try:
        parts = urlsplit(url)
        name = f"{parts.scheme}://{parts.hostname}:{parts.port or 6379}{parts.path}"
    except ValueError:
        raise InvalidInputError("ENDCAP_EVENTS", "an unreadable URL", expected) from None
    database = parts.path.strip("/")
    if parts.scheme not in SCHEMES or not parts.hostname or (database and not database.isdigit()):
        raise InvalidInputError("ENDCAP_EVENTS", name, expected)
    return name, parts._replace(scheme=parts.scheme.replace("valkey", "redis")).geturl()


def _once_more() -> Any:
    """A connection that went stale is replaced once; one that is down or hangs is not waited for again."""
    from redis.backoff import NoBackoff
    from redis.exceptions import ConnectionError as Disconnected
    from redis.retry import Retry

    return Retry(NoBackoff(), 1, supported_errors=(Disconnected,))
