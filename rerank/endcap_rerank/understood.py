"""What a query means and finds, whoever asks; what was asked lately is remembered."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from endcap_rerank.constraints import NO_CONSTRAINTS, Constraints, PriceLimit
from endcap_rerank.demands import TagMatch, brand_named, match_tags
from endcap_rerank.errors import InvalidInputError
from endcap_rerank.filters import NO_FILTERS, Filters
from endcap_rerank.index import Candidates, LiveIndex
from endcap_rerank.learned import LearnedRelevance, Relevance
from endcap_rerank.options import Options
from endcap_rerank.requests import SearchRequest
from endcap_rerank.tags import Tag, decode_tags

REMEMBERED = 2048
"""Queries of which a process keeps the candidates: 10 kB each for 200 candidates without a learned relevance,
by tracemalloc over 500 queries of Home Depot."""


@dataclass(frozen=True)
class Understood:
    """A query and its candidates. No part of it depends on the shopper, and no array can be written.

    Attributes:
        filters: those to apply, the understood price limit included.
        price: the understood price limit, where it is applied.
        found: the candidates, best fused score first.
        learned: their learned relevance, where the release has one.
        match: which candidates satisfy which demands; None where the query asks nothing.
        brand_named: how sure it is that the query names a brand, in [0, 1].
        notes: what the caller should know, in plain sentences.
    """

    tags: tuple[Tag, ...]
    constraints: Constraints
    filters: Filters | None
    price: PriceLimit | None
    found: Candidates
    learned: Relevance | None
    match: TagMatch | None
    brand_named: float
    notes: tuple[str, ...]


class Recent:
    """The last queries and what they found, as long as it holds.

    An answer is that of :func:`understand`, bit for bit: everything it depends on is part of the key, or of
    the state of the catalogue. A new price or stock leaves alone what was found without a filter and is not
    learned.
    """

    def __init__(self, size: int = REMEMBERED) -> None:
        self._size = size
        self._known: OrderedDict[Hashable, tuple[Hashable, Understood]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def of(self, key: Hashable, index: LiveIndex, make: Callable[[], Understood]) -> Understood:
        """What is remembered for ``key`` and still holds, else what ``make`` gives."""
        known = self._known.get(key)
        if known is not None and known[0] == _state(index, known[1]):
            self._known.move_to_end(key)
            return known[1]
        found = make()
        self._known[key] = _state(index, found), found
        self._known.move_to_end(key)
        if len(self._known) > self._size:
            self._known.popitem(last=False)
        return found


def _state(index: LiveIndex, found: Understood) -> Hashable:
    """What of the catalogue an answer depends on."""
    by_numbers = found.filters is not None or found.learned is not None or found.constraints.price is not None
    return index.version if by_numbers else index.moves


def understand(
    request: SearchRequest,
    index: LiveIndex,
    *,
    labels: Sequence[str],
    count: int,
    learned: LearnedRelevance | None = None,
    recent: Recent | None = None,
) -> Understood:
    """Understand a query and retrieve its candidates.

    A price limit that the query states filters, unless the caller filters by price; when no product would
    be left it is dropped with a note, since a shopper is better served by what lies above the limit.

    Args:
        count: how many candidates.
        learned: tells the relevance of the candidates in place of their fused score.
        recent: where the same query may be remembered.

    Raises:
        InvalidInputError: the embedding or the tag logits do not fit this release.
    """
    options = request.options
    given = admitted(options)

    def make() -> Understood:
        return _understand(request, given, index, labels, count, learned)

    if recent is None:
        return make()
    key = (
        request.query,
        request.embedding.tobytes(),
        request.tag_logits.tobytes() if options.understand else b"",
        count,
        options.understand,
        None if given is None else (given.conditions(), given.exclude),
    )
    return recent.of(key, index, make)


def admitted(options: Options) -> Filters | None:
    """The filters of a request, with the products that it leaves out and the shopper's age."""
    hidden = options.exclude | options.shown | frozenset(options.refused)
    filters = excluding(options.filters, hidden) if hidden else options.filters
    return replace(filters or NO_FILTERS, age=options.age) if options.age else filters


def excluding(filters: Filters | None, ids: set[str] | frozenset[str]) -> Filters:
    """The filters with further ids left out."""
    filters = filters or Filters()
    return replace(filters, exclude=filters.exclude | ids)


def _understand(
    request: SearchRequest,
    given: Filters | None,
    index: LiveIndex,
    labels: Sequence[str],
    count: int,
    learned: LearnedRelevance | None,
) -> Understood:
    options, query = request.options, request.query
    notes: list[str] = []
    tags: tuple[Tag, ...] = ()
    constraints = NO_CONSTRAINTS
    if options.understand:
        if labels and len(request.offsets):
            if request.tag_logits.shape[1] != len(labels):
                expected = f"{len(labels)} classes are expected, as the release has labels"
                raise InvalidInputError("tag_logits", request.tag_logits.shape, expected)
            tags = decode_tags(query, request.offsets, request.tag_logits, labels)
        constraints = Constraints.read(query, tags)
    filters, price = _with_price(given, constraints.price)

    def retrieve(filters: Filters | None) -> Candidates:
        vector, tolerant = request.embedding, options.understand
        return index.retrieve(query, vector, count=count, filters=filters, tolerant=tolerant)

    found = retrieve(filters)
    if not len(found) and price is not None:
        notes.append(f"No product fits the price limit of the query ({price.text}); it was not applied.")
        filters, price = given, None
        found = retrieve(filters)
    notes += [f'"{one.word}" was read as "{", ".join(one.read_as)}" too.' for one in found.corrections]
    told = None if learned is None else learned.relevance(query, found, index)
    match, named = None, 0.0
    if options.understand:
        brands = index.brand_codes(found.rows)
        named = brand_named(query, constraints, found.corrections, found.rows, brands, index)
        if constraints.terms:
            match = match_tags(constraints, found.rows, brands, index)
    _keep_as_they_are(found.rows, found.dense, found.lexical, found.fused)
    if told is not None:
        _keep_as_they_are(told.values, told.parts)
    if match is not None:
        _keep_as_they_are(match.values, match.satisfied)
    return Understood(tags, constraints, filters, price, found, told, match, named, tuple(notes))


def _with_price(
    filters: Filters | None, price: PriceLimit | None
) -> tuple[Filters | None, PriceLimit | None]:
    if price is None:
        return filters, None
    if filters is not None and (filters.price_min is not None or filters.price_max is not None):
        return filters, None
    return replace(filters or Filters(), price_min=price.low, price_max=price.high), price


def _keep_as_they_are(*arrays: npt.NDArray[np.generic]) -> None:
    for array in arrays:
        array.flags.writeable = False
