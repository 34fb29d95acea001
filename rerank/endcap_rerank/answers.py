"""The last answers to shoppers who say nothing of themselves, for as long as they hold."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from hashlib import blake2b
from typing import NamedTuple

from endcap_rerank.options import NO_OPTIONS
from endcap_rerank.requests import Ranked, RecommendRequest, SearchRequest

REMEMBERED = 2048
"""Answers that a process keeps: 4 kB each for 20 products, by tracemalloc over 500 queries of Home Depot."""

Counts = tuple[tuple[str, float | None], ...]
"""Metrics of an answer: a histogram's name and what is observed, or a counter's and None."""


class Answer(NamedTuple):
    """What was answered, and what is counted of it each time."""

    ranked: Ranked
    counts: Counts


class Answers:
    """Answers by request, each with the state of the shop that it was made in (``Ranker.state``).

    An answer is that of the stages, bit for bit: all it depends on is part of the request or of the state.
    """

    def __init__(self, size: int = REMEMBERED) -> None:
        self._size = size
        self._known: OrderedDict[bytes, tuple[Hashable, Answer]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    @staticmethod
    def key(request: SearchRequest | RecommendRequest) -> bytes | None:
        """What tells requests apart; None for one whose answer is not kept: of a shopper, or with options."""
        if not isinstance(request, SearchRequest) or request.user or request.options is not NO_OPTIONS:
            return None
        digest = blake2b(digest_size=16)
        for array in (request.embedding, request.tag_logits, request.offsets):
            digest.update(array.tobytes())
        digest.update(repr((request.query, request.k, request.diversity)).encode("utf-8", "surrogatepass"))
        return digest.digest()

    def find(self, key: bytes, state: Hashable) -> Answer | None:
        """The answer to a request, where it still holds."""
        known = self._known.get(key)
        if known is None or known[0] != state:
            return None
        self._known.move_to_end(key)
        return known[1]

    def keep(self, key: bytes, state: Hashable, answer: Answer) -> None:
        """Keep an answer that was made in ``state``, or after it."""
        self._known[key] = state, answer
        self._known.move_to_end(key)
        if len(self._known) > self._size:
            self._known.popitem(last=False)
