"""The candidates of a request: what is understood of it, and what is retrieved for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from endcap_rerank.affinities import NO_HISTORY, Affinities, History, history_of_session
from endcap_rerank.constraints import NO_CONSTRAINTS, Constraints, PriceLimit
from endcap_rerank.demands import TagMatch, match_tags, specificity
from endcap_rerank.errors import StoreError
from endcap_rerank.filters import Filters
from endcap_rerank.index import Candidates, LiveIndex
from endcap_rerank.index.reading import Correction
from endcap_rerank.learned import LearnedRelevance, Relevance
from endcap_rerank.options import Options
from endcap_rerank.profile import Profile, Profiles, Taste, empty_profile, empty_taste, session_taste
from endcap_rerank.recommended import beside, for_taste, likely_next, with_followers
from endcap_rerank.requests import RecommendRequest, SearchRequest
from endcap_rerank.tags import Tag
from endcap_rerank.understood import Recent, admitted, excluding, understand

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]

ITEM_OPENNESS = 0.6
"""Share of the personal terms beside an item: less open than no wish at all, more than a precise query."""

STORE_UNREADABLE = "The store of events cannot be read; the answer is not fitted to the shopper."
"""Note of an answer without personalization because the store is down."""


@dataclass(frozen=True)
class Pool:
    """What retrieval hands to ranking.

    Attributes:
        rows: int64 [n], distinct.
        relevance: float32 [n] in [0, 1].
        source: ``search``, ``item``, ``user`` or ``popular``.
        pins: positions in ``rows`` that go first, in this order.
        openness: share of the personal terms that the request leaves in force, in [0, 1].
        filters: as applied, the understood price limit included.
        price: the understood price limit, where it is applied.
        match: which candidates satisfy which demands of the query; None where it asks nothing.
        brand_named: how sure it is that the query names a brand, in [0, 1].
        corrections: words of the query that were read as others.
        learned: what makes up ``relevance`` where it is a learned one; its arrays are of the same products.
        notes: what the caller should know, in plain sentences.
        history: what was taken before, latest first: the item and the session, then the shopper's events.
    """

    rows: Rows
    relevance: Floats
    source: str
    profile: Profile
    session: Taste
    openness: float
    filters: Filters | None
    pins: tuple[int, ...] = ()
    tags: tuple[Tag, ...] = ()
    constraints: Constraints = NO_CONSTRAINTS
    match: TagMatch | None = None
    brand_named: float = 0.0
    price: PriceLimit | None = None
    notes: tuple[str, ...] = ()
    history: History = NO_HISTORY
    corrections: tuple[Correction, ...] = ()
    learned: Relevance | None = None

    @property
    def personalized(self) -> bool:
        """Whether the shopper or the session has a say in the scores."""
        return self.openness > 0.0 and (self.profile.known or len(self.session) > 0)


def search_pool(
    request: SearchRequest,
    index: LiveIndex,
    profiles: Profiles,
    *,
    labels: Sequence[str],
    count: int,
    learned: LearnedRelevance | None = None,
    recent: Recent | None = None,
) -> Pool:
    """What a query finds (:func:`~endcap_rerank.understood.understand`), and who asks.

    Args:
        learned: tells the relevance of the candidates in place of their fused score.
        recent: where what was asked lately is remembered.

    Raises:
        InvalidInputError: the embedding or the tag logits do not fit this release.
    """
    options = request.options
    wanted = max(count, request.k)
    meant = understand(request, index, labels=labels, count=wanted, learned=learned, recent=recent)
    notes = list(meant.notes)
    profile, session = _shopper(request.user, options, index, profiles, notes)
    found, told, match = meant.found, meant.learned, meant.match
    rows, relevance, pins = _with_pins(
        found, found.fused if told is None else told.values, options, meant.filters, index, notes
    )
    if len(rows) > len(found):  # with pins that were not found
        told = None if told is None else told.with_others(len(rows))
        if match is not None:
            match = match_tags(meant.constraints, rows, index.brand_codes(rows), index)
    return Pool(
        rows=rows,
        relevance=relevance,
        learned=told,
        source="search",
        profile=profile,
        session=session,
        openness=1.0,
        filters=meant.filters,
        pins=pins,
        tags=meant.tags,
        constraints=meant.constraints,
        match=match,
        brand_named=meant.brand_named,
        price=meant.price,
        notes=tuple(notes),
        history=_before(options, profile, index),
        corrections=found.corrections,
    )


def recommend_pool(
    request: RecommendRequest,
    index: LiveIndex,
    profiles: Profiles,
    *,
    count: int,
    affinities: Affinities | None = None,
) -> Pool:
    """Retrieve candidates without a query: beside an item, else for a taste, else what is popular.

    Raises:
        InvalidInputError: the catalogue does not hold ``item``.
    """
    options = request.options
    notes: list[str] = []
    filters = admitted(options)
    wanted = max(count, request.k)
    profile, session = _shopper(request.user, options, index, profiles, notes)
    openness = 1.0
    history = _before(options, profile, index)
    if request.item:
        source, openness = "item", ITEM_OPENNESS
        filters = excluding(filters, {request.item})
        found = beside(request.item, wanted, filters, index, notes)
        basket = history_of_session([*options.recent, request.item], index)
        history = basket
        if affinities is not None and len(basket):
            found = with_followers(found, affinities, basket, wanted, filters, index)
    elif profile.known or session.liked:
        source = "user"
        found = for_taste(profile, session, wanted, filters, index)
        if affinities is not None and len(history):
            found, openness = likely_next(found, affinities, history, wanted, filters, index)
    else:
        source = "popular"
        found = index.popular(wanted, filters)
    rows, relevance, pins = _with_pins(found, found.fused, options, filters, index, notes)
    return Pool(
        rows=rows,
        relevance=relevance,
        source=source,
        profile=profile,
        session=session,
        openness=openness,
        filters=filters,
        pins=pins,
        notes=tuple(notes),
        history=history,
    )


def query_openness(query: str, constraints: Constraints, specific: float) -> float:
    """Share of the personal terms that a query leaves in force: 1 - specific·specificity."""
    return 1.0 - specific * specificity(query, constraints)


def _before(options: Options, profile: Profile, index: LiveIndex) -> History:
    """The session, then the shopper's events."""
    if not options.personalize:
        return NO_HISTORY
    taken = [item for item in options.recent if item not in options.refused]
    return history_of_session(taken, index).first(profile.history)


def _shopper(
    user: str, options: Options, index: LiveIndex, profiles: Profiles, notes: list[str]
) -> tuple[Profile, Taste]:
    if not options.personalize:
        return empty_profile(index.dimension), empty_taste(index.dimension)
    try:
        profile = profiles.of(user)
        if user and not profile.known:
            notes.append("Nothing is known of this shopper; the answer is not fitted to them.")
    except StoreError:
        # A shop whose store is down sells on; the log says which store and why.
        profile = empty_profile(index.dimension)
        notes.append(STORE_UNREADABLE)
    if options.recent or options.refused:
        return profile, session_taste(options.recent, index, options.refused)
    return profile, empty_taste(index.dimension)


def _with_pins(
    found: Candidates,
    relevance: Floats,
    options: Options,
    filters: Filters | None,
    index: LiveIndex,
    notes: list[str],
) -> tuple[Rows, Floats, tuple[int, ...]]:
    rows = found.rows.astype(np.int64, copy=False)
    if not options.pin:
        return rows, relevance, ()
    wanted: list[int] = []
    for item in options.pin:
        row = index.row(item)
        if row is None:
            notes.append(f"Pinned product {item} is not in the catalogue.")
        elif not index.passes([row], filters)[0]:
            notes.append(f"Pinned product {item} does not pass the filters.")
        else:
            wanted.append(row)
    missing = [row for row in wanted if not (rows == row).any()]
    if missing:
        rows = np.concatenate([rows, np.array(missing, np.int64)])
        relevance = np.concatenate([relevance, np.zeros(len(missing), np.float32)])
    place = {row: position for position, row in enumerate(rows.tolist())}
    return rows, relevance, tuple(place[row] for row in wanted)
