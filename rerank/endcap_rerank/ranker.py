"""From a request to ranked products: retrieve, rank, diversify, answer."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from endcap_rerank.affinities import Affinities, LiveAffinities
from endcap_rerank.blocked import BlockedItems
from endcap_rerank.catalog_changes import CatalogChanges
from endcap_rerank.catalog_store import CatalogStore
from endcap_rerank.diversity import STRATEGIES, Calibration, Cap, Exploration, SimilarityKernel
from endcap_rerank.diversity.order import shown
from endcap_rerank.diversity.topic import on_topic
from endcap_rerank.errors import ReleaseError
from endcap_rerank.events import EVENTS_FILE as EVENTS_FILE
from endcap_rerank.events import Event, EventStore, open_events
from endcap_rerank.explain import Place, explain
from endcap_rerank.filters import Filters
from endcap_rerank.index import Index, LiveIndex
from endcap_rerank.index.segments import SegmentFolder
from endcap_rerank.learned import LearnedRelevance
from endcap_rerank.milvus import MilvusAddress, MilvusDense
from endcap_rerank.options import Options, WindowCap
from endcap_rerank.pool import Pool, query_openness, recommend_pool, search_pool
from endcap_rerank.product import Product
from endcap_rerank.profile import Profiles
from endcap_rerank.release import Release
from endcap_rerank.requests import Ranked, RecommendRequest, SearchRequest
from endcap_rerank.scoring import RankingWeights, Scored, kernel_groups, score
from endcap_rerank.settings import Settings

CATALOG_FILE = "catalog.db"
"""Name of the catalogue's changes in ``Settings.state``; that of the events is EVENTS_FILE."""

RELEVANCE_UNIT = 0.5
"""Difference of scores that strategies weigh as one. Queries differ in how far apart their candidates are;
one unit for all buys more difference for the same nDCG than one for each (docs/ranking.md)."""

NEW_DAYS = 30
"""How long a product counts as new."""


@dataclass(frozen=True)
class Selected:
    """The products of the answer, best first.

    Attributes:
        positions: int64 [at most k] in the scored candidates.
        exceeded: names of the caps that could not be kept.
    """

    positions: npt.NDArray[np.int64]
    exceeded: tuple[str, ...] = ()


class Ranker:
    """Search and recommendation over one release. One thread at a time; any number of processes.

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

    @classmethod
    def open(cls, release: Release, settings: Settings) -> Ranker:
        """Map the release's index and open the stores in ``settings.state`` (made when missing).

        Raises:
            ReleaseError: the index, the ranking weights or the learned relevance cannot be used.
            InvalidInputError: ``settings.blocked`` cannot be read, a URL cannot be used.
            StoreError: the changes of the catalogue cannot be opened (events may be out of reach: see
                ``search``).
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
                index, CatalogStore(settings.state / CATALOG_FILE), SegmentFolder(settings.state, release.id)
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
        return self.index.upsert(items)

    def delete(self, ids: Sequence[str]) -> int:
        """Take products out of the catalogue.

        Raises:
            StoreError: nothing was stored.
        """
        return self.index.delete(ids)

    # Stages ------------------------------------------------------------------------------------------

    def retrieve(self, request: SearchRequest | RecommendRequest) -> Pool:
        """Stage 1: take in catalogue changes, understand the request, gather candidates and the profile."""
        stale = self._changes.take_in()
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
            constraints=pool.constraints,
            openness=pool.openness,
            boost=request.options.boost,
            novelty=pool.source == "user",
            bought=isinstance(request, RecommendRequest),
            affinities=self.affinities,
            history=pool.history,
            follow=self._follow(pool),
        )

    def diversify(self, request: SearchRequest | RecommendRequest, pool: Pool, scored: Scored) -> Selected:
        """Stage 3: select at most k candidates by score, likeness to one another, caps and rules."""
        options = request.options
        buried = self._buried(options, pool)
        if buried is None:
            return self._select(request, pool, scored, np.arange(len(scored)), request.k)
        # Buried products come after every other one, whatever diversity would gain by them.
        upper = self._select(request, pool, scored, np.flatnonzero(~buried), request.k)
        missing = request.k - len(upper.positions)
        if missing <= 0:
            return upper
        lower = np.flatnonzero(buried)
        lower = lower[np.argsort(-scored.scores[lower], kind="stable")][:missing]
        return replace(upper, positions=np.concatenate([upper.positions, lower]))

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

    def _answered(self, request: SearchRequest | RecommendRequest) -> Ranked:
        pool = self.retrieve(request)
        scored = self.rank(request, pool)
        selected = self.diversify(request, pool, scored)
        return self.answer(request, pool, scored, selected)

    def _buried(self, options: Options, pool: Pool) -> npt.NDArray[np.bool_] | None:
        rows = [row for item in options.bury if (row := self.index.row(item)) is not None]
        if not rows:
            return None
        buried = np.isin(pool.rows, rows)
        buried[list(pool.pins)] = False
        return buried

    def _select(
        self,
        request: SearchRequest | RecommendRequest,
        pool: Pool,
        scored: Scored,
        among: npt.NDArray[np.int64],
        k: int,
    ) -> Selected:
        """Select among the candidates that are on topic; among all where the rules need more.

        A shopper's recommendations have no topic that they could leave.
        """
        options = request.options
        if request.diversity <= 0.0 or pool.source not in ("search", "item") or options.explore > 0.0:
            return self._selected(request, pool, scored, among, k)
        near = np.zeros(len(scored), bool)
        near[among[on_topic(scored.scores[among], k)]] = True
        near[list(pool.pins)] = True  # they are among them: a pin is never buried
        found = self._selected(request, pool, scored, among[near[among]], k)
        return self._selected(request, pool, scored, among, k) if found.exceeded else found

    def _selected(
        self,
        request: SearchRequest | RecommendRequest,
        pool: Pool,
        scored: Scored,
        among: npt.NDArray[np.int64],
        k: int,
    ) -> Selected:
        whole = len(among) == len(scored)
        brands, categories = scored.brands, scored.categories
        scores, embeddings = scored.scores, scored.embeddings
        pins: Sequence[int] = pool.pins
        if not whole:
            brands, categories = brands[among], categories[among]
            scores, embeddings = scores[among], embeddings[among]
            pins = among.searchsorted(np.array(pins, np.int64)).tolist()
        kernel = SimilarityKernel(
            embeddings, kernel_groups(scored.rows[among], brands, categories, self.index, self.weights)
        )
        options = request.options
        caps = []
        for name, cap in options.caps.items():
            if name == "top_category":
                codes = self.index.top_category_codes(scored.rows[among])
            else:
                codes = brands if name == "brand" else categories
            limit, window = (cap.limit, cap.window) if isinstance(cap, WindowCap) else (cap, None)
            caps.append(Cap(name, codes, limit, window))
        calibration = exploration = None
        if options.calibrate > 0.0 and pool.profile.known:
            shares = pool.profile.categories.of(categories)
            calibration = Calibration(categories, shares, options.calibrate * pool.openness)
        if options.explore > 0.0:
            exploration = Exploration(self._new(scored.rows[among]), options.explore)
        selection = STRATEGIES[options.algorithm](
            scores,
            kernel,
            k,
            request.diversity * pool.openness if options.adapt_diversity else request.diversity,
            caps=caps,
            first=pins[:k],
            calibration=calibration,
            exploration=exploration,
            unit=RELEVANCE_UNIT,
        )
        selection = shown(
            options.algorithm, selection, scores, caps=caps, pinned=len(pins[:k]), exploration=exploration
        )
        return Selected(among[selection.rows], selection.exceeded)

    def _new(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Which products had little chance yet: made in the last NEW_DAYS before the newest candidate, or
        rated by nobody. The candidates' own dates and not the clock, so that a request has one answer.
        """
        made = self.index.created_at(rows)
        newest = np.nanmax(made, initial=-np.inf, where=~np.isnan(made))
        new: npt.NDArray[np.bool_] = (made >= newest - NEW_DAYS * 86_400.0) | (
            self.index.popularity(rows) <= 0.0
        )
        return new

    def _explanations(
        self, ids: list[str], pool: Pool, scored: Scored, selected: Selected, options: Options
    ) -> list[str]:
        if not options.explain:
            return [""] * len(ids)
        places = np.empty(len(scored), dtype=np.int64)
        places[np.argsort(-scored.scores, kind="stable")] = np.arange(1, len(scored) + 1)
        return [
            explain(position, item, Place(rank, int(places[position])), pool, scored, options, self.index)
            for rank, (position, item) in enumerate(
                zip(selected.positions.tolist(), ids, strict=True), start=1
            )
        ]

    def _query_info(self, pool: Pool, selected: Selected) -> str:
        notes = list(pool.notes)
        if not len(pool.rows):
            notes.append("No product fits the request.")
        notes.extend(
            f"Too few products differ by {name}: the cap on it is exceeded." for name in selected.exceeded
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
        return json.dumps(info, ensure_ascii=False, separators=(",", ":"))


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
    return json.dumps(chosen, ensure_ascii=False, separators=(",", ":"))
