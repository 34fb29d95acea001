"""What every Python model does around an answer: measures it, and logs what failed or was slow."""

from __future__ import annotations

import gc
import math
import time
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from endcap_rerank.answers import Answer, Answers, Counts
from endcap_rerank.catalog_changes import CHANGES_UNREADABLE
from endcap_rerank.deployed import deployed_release
from endcap_rerank.errors import CancelledError, EndcapError, InvalidInputError
from endcap_rerank.events import Event
from endcap_rerank.filters import Filters
from endcap_rerank.keeping_up import KeepingUp
from endcap_rerank.masking import CARD, EMAIL, PHONE
from endcap_rerank.metrics import FAILED, RELEASED, REPEATED, SIMILARITY, STAGES, Measures
from endcap_rerank.metrics_page import MetricsPage
from endcap_rerank.pool import STORE_UNREADABLE, Pool
from endcap_rerank.ranker import Ranker
from endcap_rerank.requests import Ranked, RecommendRequest, SearchRequest
from endcap_rerank.scoring import Scored
from endcap_rerank.selected import Selected
from endcap_rerank.serving_log import ServingLog
from endcap_rerank.settings import Settings

_AT_ONCE = 0.002
"""Seconds after an answer in which the next row has waited for it: for a queue, or in a batch."""

_LONG = 0.01
"""Seconds of retrieval after which a caller may have given up."""

_SAMPLED = 0.05
"""Seconds for which one caller that still waits speaks for the others."""

_DOUBTED = 1.0
"""Seconds after a caller that had gone in which each is asked about."""


class Callers:
    """Whether callers still wait. To ask costs a message to Triton and back, under load a tenth of an answer.

    So it is asked for one row in _SAMPLED seconds; for each, where callers do not wait.
    """

    def __init__(self) -> None:
        self._trusted_until = 0.0
        self._doubted_until = 0.0

    def check(self, request: Any, now: float) -> None:
        """Ask about a request, where it is due.

        Args:
            request: Triton's.
            now: seconds of a clock.

        Raises:
            CancelledError: nobody waits for its answer any more.
        """
        if self._doubted_until < now < self._trusted_until:
            return
        if request.is_cancelled():
            self._doubted_until = now + _DOUBTED
            raise CancelledError("cancelled: the caller no longer waits for the answer")
        self._trusted_until = now + _SAMPLED


class Served:
    """One instance of a Python model in Triton: its release, its measures and its log."""

    def __init__(self, model: str, triton: Any, args: dict[str, str]) -> None:
        """
        Args:
            model: name of the Triton model.
            triton: ``triton_python_backend_utils``, which only Triton's own process can import.
            args: what Triton hands to ``initialize``.

        Raises:
            ReleaseError: the version's folder has no release.
            InvalidInputError: a setting cannot be used.
        """
        self.release = deployed_release(Path(args["model_repository"]) / args["model_version"])
        self.version = int(args["model_version"])
        self.settings = Settings.from_environment()
        self.measures = Measures(model)
        self.log = ServingLog(triton.Logger, model, self.release.id, self.version)
        self._triton = triton
        self._ended = 0.0
        self._keeping: KeepingUp | None = None
        self._callers = Callers()
        self._answers = Answers()
        self._page = MetricsPage(triton, self.measures, self.release, args["model_version"])
        made = self.release.manifest.get("created_at")
        # All instances share the line: a release that is served beside the current one leaves it alone.
        if made is not None and args["model_name"] == model:
            self.measures.set(RELEASED.name, datetime.fromisoformat(made).timestamp())
        # What was imported stays; a search in whose middle the collector walks it takes 10 to 60 ms longer.
        gc.collect()
        gc.freeze()

    def keep_up(self, ranker: Ranker) -> None:
        """Have the ranker take in changes of the catalogue between requests."""
        self._keeping = ranker.keep_up()

    def close(self) -> None:
        """Hand over the last sums."""
        if self._keeping is not None:
            self._keeping.close()
        self._page.close()

    def answered(self, ranker: Ranker, asked: SearchRequest | RecommendRequest, request: Any) -> Ranked:
        """Answer one row of a request, measured, stage by stage or as it was answered before.

        The catalogue stays the same meanwhile. One that took ``ENDCAP_SLOW_MS`` is logged.

        Args:
            request: Triton's, which knows whether its caller still waits.

        Raises:
            InvalidInputError: as ``Ranker.search`` and ``Ranker.recommend`` do.
            CancelledError: nobody waits for the answer any more.
        """
        with ranker.turn:
            return self._answered(ranker, asked, request)

    def _answered(self, ranker: Ranker, asked: SearchRequest | RecommendRequest, request: Any) -> Ranked:
        clock = time.perf_counter
        marks = [clock()]
        stale = ranker.take_in()
        key = None if stale else Answers.key(asked)
        state = None if key is None else ranker.state()
        if key is not None and (known := self._answers.find(key, state)) is not None:
            self._count(((REPEATED.name, None), *known.counts))
            self._ended = clock()
            self.measures.observe("endcap_stage_milliseconds", (self._ended - marks[0]) * 1e3, "whole")
            return known.ranked
        # Only where it is likely that the caller has gone.
        if marks[0] - self._ended < _AT_ONCE:
            self._callers.check(request, marks[0])
        pool = ranker.retrieve(asked, stale)
        marks.append(clock())
        if marks[1] - marks[0] > _LONG:
            self._callers.check(request, marks[1])
        scored = ranker.rank(asked, pool)
        marks.append(clock())
        selected = ranker.diversify(asked, pool, scored)
        marks.append(clock())
        ranked = ranker.answer(asked, pool, scored, selected)
        marks.append(clock())
        self._ended = marks[-1]
        times = [(end - begin) * 1e3 for begin, end in pairwise(marks)]
        times.append((marks[-1] - marks[0]) * 1e3)
        for stage, milliseconds in zip(STAGES, times, strict=True):
            self.measures.observe("endcap_stage_milliseconds", milliseconds, stage)
        counts = counts_of(asked, pool, scored, selected)
        self._count(counts)
        if key is not None and not pool.notes:
            self._answers.keep(key, state, Answer(ranked, counts))
        if self.settings.slow_ms and times[-1] >= self.settings.slow_ms:
            rounded = {stage: round(spent, 2) for stage, spent in zip(STAGES, times, strict=True)}
            self.log.slow(
                request.request_id(),
                rounded,
                source=pool.source,
                candidates=len(pool.rows),
                served=len(ranked.item_ids),
            )
        return ranked

    def _count(self, counts: Counts) -> None:
        for name, observed in counts:
            if observed is None:
                self.measures.count(name)
            else:
                self.measures.observe(name, observed)

    def stored(self, events: Sequence[Event]) -> None:
        """Count events that the store has taken."""
        now = time.time()
        for event in events:
            self.measures.count("endcap_events_total", event.event)
            self.measures.observe("endcap_feedback_lag_seconds", max(0.0, now - event.timestamp))
            if any(mark in event.query for mark in (EMAIL, PHONE, CARD)):
                self.measures.count("endcap_masked_total")

    def changed(self, operation: str, products: int) -> None:
        """Count products that were upserted or deleted."""
        self.measures.count("endcap_catalog_changes_total", operation, products)
        self.measures.set("endcap_catalog_changed_timestamp_seconds", time.time())

    def failed(self, request: Any, error: Exception) -> Any:
        """The response that says what is wrong; counted, and logged where it is not the caller's fault.

        What was cancelled is neither: nobody reads the response.
        """
        errors = self._triton.TritonError
        if isinstance(error, CancelledError):
            return self._triton.InferenceResponse(error=errors(str(error), errors.CANCELLED))
        if isinstance(error, InvalidInputError):
            code, number, message = "invalid", errors.INVALID_ARG, str(error)
        elif isinstance(error, EndcapError):
            code, number, message = "unavailable", errors.UNAVAILABLE, str(error)
            self.log.failed(request.request_id(), code, error)
        else:
            code, number = "internal", errors.INTERNAL
            message = f"{self.measures.model}: {type(error).__name__}, see the log"
            self.log.failed(request.request_id(), code, error)
        self.measures.count(FAILED.name, code)
        return self._triton.InferenceResponse(error=errors(message, number))


def counts_of(
    request: SearchRequest | RecommendRequest, pool: Pool, scored: Scored, selected: Selected
) -> Counts:
    """What is counted of one list of products: how it came about and how much its products differ."""
    counts: list[tuple[str, float | None]] = [
        ("endcap_answered_total", None),
        ("endcap_candidates", len(pool.rows)),
    ]
    if pool.filters is not None and _narrows(pool.filters):
        counts.append(("endcap_filtered_total", None))
    if pool.personalized:
        counts.append(("endcap_personalized_total", None))
    if CHANGES_UNREADABLE in pool.notes:
        counts.append(("endcap_catalog_unreadable_total", None))
    if STORE_UNREADABLE in pool.notes:
        counts.append(("endcap_store_unreadable_total", None))
    elif request.user and request.options.personalize and not pool.profile.known:
        counts.append(("endcap_cold_total", None))
    positions = selected.positions
    size = len(positions)
    if not size:
        counts.append(("endcap_empty_total", None))
    elif isinstance(request, SearchRequest):
        counts.append((SIMILARITY.name, float(request.embedding @ scored.embeddings[positions[0]])))
    if size < 2:
        return tuple(counts)
    vectors = scored.embeddings[positions]
    total = vectors.sum(axis=0)
    # The mean of 1 - cos over pairs: Σ_{i≠j} cos = ‖Σ v‖² - Σ ‖v‖².
    alike = (float(total @ total) - float(np.vdot(vectors, vectors))) / (size * (size - 1))
    counts.append(("endcap_list_diversity", max(0.0, 1.0 - alike)))
    shares = [count / size for count in Counter(scored.brands[positions].tolist()).values()]
    entropy = -sum(share * math.log(share) for share in shares) / math.log(size)
    counts.append(("endcap_list_brand_entropy", max(0.0, entropy)))
    return tuple(counts)


def _narrows(filters: Filters) -> bool:
    """Whether more than single products is left out."""
    prices = filters.price_min is not None or filters.price_max is not None
    return bool(prices or filters.brands or filters.categories or filters.in_stock or filters.attributes)
