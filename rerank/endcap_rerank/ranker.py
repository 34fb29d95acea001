"""From a request to ranked products: retrieve, rank, diversify, answer."""

from __future__ import annotations

import json
import threading
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from endcap_rerank.affinities import Affinities, LiveAffinities
from endcap_rerank.blocked import BlockedItems
from endcap_rerank.catalog_changes import CatalogChanges
from endcap_rerank.catalog_store import CatalogStore
from endcap_rerank.errors import ReleaseError
from endcap_rerank.events import EVENTS_FILE as EVENTS_FILE
from endcap_rerank.events import Event, EventStore, open_events
from endcap_rerank.explain import explain
from endcap_rerank.filters import Filters
from endcap_rerank.index import Index, LiveIndex
from endcap_rerank.index.segments import SegmentFolder
from endcap_rerank.keeping_up import KeepingUp
from endcap_rerank.learned import LearnedRelevance
from endcap_rerank.milvus import MilvusAddress, MilvusDense
from endcap_rerank.options import Options
from endcap_rerank.pool import Pool, query_openness, recommend_pool, search_pool
from endcap_rerank.product import Product
from endcap_rerank.profile import Profiles
from endcap_rerank.release import Release
from endcap_rerank.requests import Ranked, RecommendRequest, SearchRequest
from endcap_rerank.scoring import RankingWeights, Scored, score
from endcap_rerank.selected import Selected, select
from endcap_rerank.settings import Settings
from endcap_rerank.understood import Recent

CATALOG_FILE = "catalog.db"
"""Name of the catalogue's changes in ``Settings.state``; that of the events is EVENTS_FILE."""


class Ranker:
    """Search and recommendation over one release. One thread at a time; any number of processes.

    Whoever goes from stage to stage while ``keep_up`` is at work holds ``turn`` meanwhile; other methods take
    it themselves.

    The answer to a request depends on the release, the stores and the request alone: nothing of a
    shopper lives in the process.
    """

    def __init__(
        self,
        release: Release,
        index: LiveIndex,
        events: EventStore,
        *,
        weights: RankingWeights | None = None,
        learned: LearnedRelevance | None = None,
        affinities: LiveAffinities | None = None,
        candidates: int = Settings.candidates,
        events_per_user: int = Settings.events_per_user,
        blocked: BlockedItems | None = None,
    ) -> None:
        self.release = release
        self.index = index
        self.events = events
        self.weights = weights or RankingWeights()
        self.learned = learned
        self._affinities = affinities
        self._candidates = candidates
        self._blocked = blocked
        self._profiles = Profiles(events, index, limit=events_per_user)
        self._changes = CatalogChanges(index)
        self._recent = Recent()
        self.turn = threading.RLock()

    @classmethod
    def open(cls, release: Release, settings: Settings) -> Ranker:
        """Map the release's index and open the stores in ``settings.state`` (made when missing); a store that
        cannot be opened is an error when it is written to, and a note in answers: see ``search``.

        Raises:
            ReleaseError: the index, the ranking weights or the learned relevance cannot be used.
            InvalidInputError: ``settings.blocked`` cannot be read, a URL cannot be used.
        """
        index = Index.open(release.index)
        if (index.encoder_id, index.dimension) != (release.encoder_id, release.dimension):
            raise ReleaseError(f"{release.path}: the index was built with another encoder than the release's")
        if settings.vectors:
            address = MilvusAddress.parse(settings.vectors, release.id)
            index = replace(index, dense=MilvusDense(release.index, address))
        return cls(
            release,
            LiveIndex(
                index,
                CatalogStore(settings.state / CATALOG_FILE, at_once=False),
                SegmentFolder(settings.state, release.id),
                at_once=False,
            ),
            open_events(settings, at_once=False),
            weights=RankingWeights.read(release.ranking),
            learned=LearnedRelevance.read(release.ranking),
            affinities=LiveAffinities(settings.state, release.id, index.count),
            candidates=settings.candidates,
            events_per_user=settings.events_per_user,
            blocked=BlockedItems(settings.blocked) if settings.blocked is not None else None,
        )

    def search(self, request: SearchRequest) -> Ranked:
        """Answer a query; without personalization where the events cannot be read, without the latest changes
        of the catalogue where those cannot, with a note in each case.

        Raises:
            InvalidInputError: the tensors do not fit this release.
        """
        return self._answered(request)

    def recommend(self, request: RecommendRequest) -> Ranked:
        """Answer without a query; where the events cannot be read, as for nobody and with a note.

        Raises:
            InvalidInputError: the catalogue does not hold ``request.item``.
        """
        return self._answered(request)

    def feedback(self, events: Sequence[Event]) -> int:
        """Store events, all or none; the next request of any process counts them. Returns how many were new.

        Raises:
            StoreError: nothing was stored.
        """
        return self.events.append(events)

    def upsert(self, items: Iterable[tuple[Product, npt.NDArray[np.float32]]]) -> int:
        """Add or replace products with their vectors [D] of the release's encoder, all or none.

        Raises:
            InvalidInputError: a vector does not fit.
            StoreError: nothing was stored.
        """
        with self.turn:
            return self.index.upsert(items)

    def delete(self, ids: Sequence[str]) -> int:
        """Take products out of the catalogue.

        Raises:
            StoreError: nothing was stored.
        """
        with self.turn:
            return self.index.delete(ids)

    def keep_up(self) -> KeepingUp:
        """Take in changes of the catalogue between searches, from now until what is returned is closed."""
        return KeepingUp(self._took_in, self.turn)

    # Stages ------------------------------------------------------------------------------------------

    def take_in(self) -> tuple[str, ...]:
        """See what has changed in the catalogue; notes for the caller, mostly none."""
        return self._changes.take_in()

    def state(self) -> Hashable:
        """What an answer depends on beside the request and the shopper's events, after ``take_in``."""
        learnt = "" if self.affinities is None or self._affinities is None else self._affinities.name
        return self.index.version, learnt, None if self._blocked is None else self._blocked.ids()

    def retrieve(
        self, request: SearchRequest | RecommendRequest, stale: tuple[str, ...] | None = None
    ) -> Pool:
        """Stage 1: understand the request, gather candidates and the profile.

        Args:
            stale: what ``take_in`` has just said; left out, it is asked.
        """
        if stale is None:
            stale = self.take_in()
        if self._blocked is not None and (blocked := self._blocked.ids()):
            request = replace(
                request, options=replace(request.options, exclude=request.options.exclude | blocked)
            )
        if isinstance(request, RecommendRequest):
            pool = recommend_pool(
                request, self.index, self._profiles, count=self._candidates, affinities=self.affinities
            )
            return replace(pool, notes=(*pool.notes, *stale))
        pool = search_pool(
            request,
            self.index,
            self._profiles,
            labels=self.release.labels,
            count=self._candidates,
            learned=self.learned,
            recent=self._recent,
        )
        openness = query_openness(request.query, pool.constraints, self.weights.specific)
        return replace(pool, openness=openness, notes=(*pool.notes, *stale))

    def rank(self, request: SearchRequest | RecommendRequest, pool: Pool) -> Scored:
        """Stage 2: the score of every candidate."""
        return score(
            pool.rows,
            pool.relevance,
            self.index,
            self.weights,
            profile=pool.profile,
            session=pool.session,
            match=pool.match,
            openness=pool.openness,
            brand_named=pool.brand_named,
            boost=request.options.boost,
            novelty=pool.source == "user",
            bought=isinstance(request, RecommendRequest),
            affinities=self.affinities,
            history=pool.history,
            follow=self._follow(pool),
        )

    def diversify(self, request: SearchRequest | RecommendRequest, pool: Pool, scored: Scored) -> Selected:
        """Stage 3: select at most k candidates by score, likeness to one another, caps and rules."""
        return select(request, pool, scored, self.index, self.weights)

    def answer(
        self, request: SearchRequest | RecommendRequest, pool: Pool, scored: Scored, selected: Selected
    ) -> Ranked:
        """Stage 4: ids, scores, and the JSON that the request asks for."""
        options, positions = request.options, selected.positions
        rows = scored.rows[positions]
        ids = self.index.item_ids(rows)
        return Ranked(
            item_ids=ids,
            scores=scored.scores[positions],
            explanations=self._explanations(ids, pool, scored, selected, options),
            products=[_product_json(self.index.product(row), options.fields) for row in rows.tolist()]
            if options.fields
            else [""] * len(ids),
            query_info=self._query_info(pool, selected),
        )

    @property
    def affinities(self) -> Affinities | None:
        """What is taken after what, as last learnt; None where nothing was."""
        return None if self._affinities is None else self._affinities.current()

    # Inside ------------------------------------------------------------------------------------------

    def _follow(self, pool: Pool) -> float:
        """Weight of the term of affinity; a shopper's recommendations have it as their relevance."""
        if pool.source == "search":
            return self.weights.affinity * pool.openness
        return self.weights.together if pool.source == "item" else 0.0

    def _took_in(self) -> bool:
        before = self.index.seq
        self.take_in()
        return self.index.seq != before

    def _answered(self, request: SearchRequest | RecommendRequest) -> Ranked:
        with self.turn:
            pool = self.retrieve(request)
            scored = self.rank(request, pool)
            selected = self.diversify(request, pool, scored)
            return self.answer(request, pool, scored, selected)

    def _explanations(
        self, ids: list[str], pool: Pool, scored: Scored, selected: Selected, options: Options
    ) -> list[str]:
        if not options.explain:
            return [""] * len(ids)
        places = np.empty(len(scored), dtype=np.int64)
        places[np.argsort(-scored.scores, kind="stable")] = np.arange(1, len(scored) + 1)
        by_score = places[selected.positions].tolist()
        return explain(selected.positions, ids, by_score, pool, scored, options, self.index)

    def _query_info(self, pool: Pool, selected: Selected) -> str:
        notes = list(pool.notes)
        if not len(pool.rows):
            notes.append("No product fits the request.")
        notes.extend(
            f"Too few products differ by {name}: the cap on it is exceeded." for name in selected.exceeded
        )
        notes.extend(
            f"Too few products of {name} were found: its guaranteed share is not reached."
            for name in selected.missed
        )
        info = {
            "release": self.release.id,
            "tags": [tag.as_mapping() for tag in pool.tags],
            "constraints": pool.constraints.as_mapping(),
            "filters": _filters_mapping(pool.filters),
            "personalized": pool.personalized,
            "candidates": len(pool.rows),
            "corrections": [one._asdict() for one in pool.corrections],
            "notes": notes,
        }
        return _json(info)


_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def _filters_mapping(filters: Filters | None) -> dict[str, Any]:
    """The filters as ``options.filters`` spells them, those that are set."""
    if filters is None:
        return {}
    values = {
        "price_min": filters.price_min,
        "price_max": filters.price_max,
        "brand": list(filters.brands) or None,
        "category": list(filters.categories) or None,
        "in_stock": filters.in_stock or None,
        "attributes": {name: list(allowed) for name, allowed in filters.attributes.items()} or None,
    }
    return {name: value for name, value in values.items() if value is not None}


def _product_json(product: Product, names: Sequence[str]) -> str:
    values = product.as_mapping()
    chosen = {name: values[name] for name in names if name in values}
    return _json(chosen)
